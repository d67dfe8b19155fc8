"""From the table of a trial to a result a statistician signs."""
