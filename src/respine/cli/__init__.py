"""The command line: thin commands over the Python front door. Nothing heavy is imported before a command needs it."""

from respine.cli.app import main

__all__ = ["main"]
