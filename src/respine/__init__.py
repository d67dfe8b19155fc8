"""respine: from dose to dendrite to mood."""
