"""``python -m respine.cli``: the command line without its script."""

from respine.cli import main

main()
