"""A row of the table of harmless names."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["class", "function", "value", "bare"]
"""What it is. A "bare" class may be made without arguments only: its constructor would read a file that they name."""

Rows = tuple[tuple[Kind, str, str, str], ...]
"""(kind, module, names, reason) of each."""


class Allowed(NamedTuple):
    """One entry: regular expressions for the module and the name, and why they are harmless."""

    package: str
    kind: Kind
    module: re.Pattern[str]
    names: re.Pattern[str]
    reason: str


CLASS = r"_?[A-Z]\w*"
NUMBER = "holds numbers; its state is read into an array of a given size"
STORES = "its constructor stores its arguments and its state becomes its attributes"
PURE = "a function of numbers, which calls nothing that it is given"
