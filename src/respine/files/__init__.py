"""The ground: YAML with lines, units, names, errors of form, and files that are whole or not there."""
