"""Data sets by name or from the user's files, and their split into train, test and trusted rows."""

from toadstone.data.loading import NAMES, load
from toadstone.data.splits import Splits, split

__all__ = ["NAMES", "Splits", "load", "split"]
