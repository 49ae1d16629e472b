"""The rows after they were judged: what every part of the answer reads."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Int
from numpy import ndarray

from toadstone.audit.data.pool import Pool
from toadstone.core import Data


@dataclass(frozen=True, eq=False)
class Case:
    """``flagged`` marks rows of ``data``; the others hold a value for each row of the pool.

    - ``pvalues``: by detector, and together under "all"; None without trusted rows.
    - ``top``: the number of the detector with the strongest evidence.
    - ``said``: "what" a row shares, whether that is evidence ("shares"), the "probability" of its label, the class
      "suggested" for it (-1 for none).
    """

    data: Data
    pool: Pool
    flagged: Bool[ndarray, " n"]
    pvalues: dict[str, ndarray] | None
    top: Int[ndarray, " m"]
    said: dict[str, ndarray]
