"""Feature trigger for tables. Severi, Meyer, Coull & Oprea, USENIX Security 2021, arXiv:2003.01031."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.fields import Filled, Finite, Whole
from toadstone.overlay import Rows
from toadstone.registry import register


@register("trigger")
@dataclass(frozen=True)
class SetFeature:
    """A few columns of a table set to fixed values.

    Works best on columns that the model leans on, at values that are rare there. Fails when the values are common
    in clean rows. x[i, columns[j]] = values[j].

    - ``columns``: column numbers from 0, all different.
    - ``values``: one number a column, in the column's own units.

    Raises ToadstoneError when a column is out of range or a value does not fit the table's dtype.

    >>> SetFeature((0, 2), (9.0, -1.0))(np.zeros((1, 3)), seed=0)
    array([[ 9.,  0., -1.]])
    """

    columns: Filled[Whole]
    values: Filled[Finite]

    def __post_init__(self) -> None:
        if len(self.columns) != len(self.values):
            raise ToadstoneError("columns and values must be as long as each other.")
        if len(set(self.columns)) < len(self.columns):
            raise ToadstoneError(f"columns must be different numbers, not {self.columns}.")

    def check(self, x: Rows) -> None:
        """Raise ToadstoneError unless ``x`` is (n, d) numbers with these columns, of a dtype that holds the values."""
        if x.ndim != 2 or x.dtype.kind not in "uifb":
            raise ToadstoneError(
                f"x is {x.dtype} of shape {x.shape}: setting columns needs an (n, d) table of numbers."
            )
        if max(self.columns) >= x.shape[1]:
            raise ToadstoneError(f"columns has {max(self.columns)} but the table has {x.shape[1]}: count from 0.")
        if x.dtype.kind == "f":
            fits = bool((np.abs(self.values) <= np.finfo(x.dtype).max).all())
        else:
            low, high = (0, 1) if x.dtype.kind == "b" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
            fits = all(v == int(v) and low <= v <= high for v in self.values)
        if not fits:
            raise ToadstoneError(f"values {self.values} do not fit a table of {x.dtype}: use values that it can hold.")

    def __call__(self, x: Rows, *, seed: int) -> ndarray:
        """A copy of ``x`` with the columns set; nothing is drawn from ``seed``."""
        self.check(x)
        out = np.array(x)
        out[:, self.columns] = np.array(self.values).astype(out.dtype)
        return out
