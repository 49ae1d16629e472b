"""The rows after they were judged: what every part of the answer reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray

from toadstone.audit.data.population import Population
from toadstone.core import Data


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """A value for each row of ``data``; what is said of a trusted row has no meaning.

    - ``pvalues``: by kind of evidence, and together under "all", NaN for trusted rows; None without trusted rows.
    - ``top``: the number of the kind with the strongest evidence.
    - ``what``: what the row shares, as ``Scores.what`` names it; ``shares`` marks where that is evidence.
    - ``probability``: of its label, NaN where nobody says; ``suggested``: the class it is taken for, -1 for none.
    """

    data: Data
    population: Population
    flagged: Bool[ndarray, " n"]
    pvalues: Mapping[str, Float[ndarray, " n"]] | None
    top: Int[ndarray, " n"]
    what: Shaped[ndarray, " n"]
    shares: Bool[ndarray, " n"]
    probability: Float[ndarray, " n"]
    suggested: Int[ndarray, " n"]
