"""Systems with triggered events and switches, one subject at a time."""
