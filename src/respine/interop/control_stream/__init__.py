"""NONMEM control streams as population problems."""
