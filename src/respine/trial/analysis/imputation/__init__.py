"""Missing scores filled in by a named assumption, many times, and what the filled tables say together."""
