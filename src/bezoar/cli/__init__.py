"""The command line: parses and prints; nothing else does."""

from bezoar.cli.app import main

__all__ = ["main"]
