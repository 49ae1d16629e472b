"""What the surroundings decide: the folder of data sets."""

from __future__ import annotations

import os
import warnings

_OLD = "BEZOAR_"  # the prefix of variables before version 0.2


def variable(name: str) -> str | None:
    """The environment variable ``TOADSTONE_`` + ``name``, or None; its old name is read too, with one note.

    An empty variable counts as unset.
    """
    value = os.environ.get(f"TOADSTONE_{name}")
    old = os.environ.get(_OLD + name)
    if not value and old:
        note = f"The environment variable {_OLD}{name} is called TOADSTONE_{name} now: set it under the new name."
        warnings.warn(note, FutureWarning, stacklevel=2)
    return value or old or None
