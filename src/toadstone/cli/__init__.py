"""The command line: parses and prints; nothing else does."""

from toadstone.cli.app import main

__all__ = ["main"]
