"""What makes a kind of evidence, and how all of it is gathered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from toadstone.audit.data.learner import PopulationModel
from toadstone.audit.data.population import Population
from toadstone.core import Data, Detector, Scores
from toadstone.errors import NotApplicableError
from toadstone.evaluation.calibration import calibrate
from toadstone.evaluation.judgement import judge_pool
from toadstone.findings import Finding

_NOTHING = 1e-12  # nats
_ARRAYS = ("values", "pvalues", "null", "null_values", "what")


@dataclass(frozen=True)
class Kind:
    """One kind of evidence against rows.

    - ``name``: of its column in the table of rows, after "p_".
    - ``detector``: the registered detector for this model of the population; None where it has nothing to go by.
    - ``reason``: the sentence of a row whose strongest evidence this is; "{what}" stands for what the row shares and
      "{probability}" for that of its label.
    - ``checked``: the sentence of what was looked for.
    - ``surprise``: whether the scores are in nats, 0 for none (see ``evaluation.combine.strengths``).
    - ``group_from``: the least number of classes with which it speaks for rows that belong together; None for never.
    - ``as_a_whole``: a finding on the set, given (scores, data, fdr), where no row is flagged; None where nothing is
      to be said.
    """

    name: str
    detector: Callable[[PopulationModel], Detector | None]
    reason: str
    checked: str
    surprise: bool = True
    group_from: int | None = None
    as_a_whole: Callable[[Scores, Data, float], Finding | None] | None = None

    def applies(self, scores: Scores | None) -> bool:
        """Whether there was any evidence of this kind, against whatever row."""
        if scores is None or not self.surprise:
            return scores is not None
        return bool(
            max(values.max() for values in (scores.values, scores.null_values) if values is not None) > _NOTHING
        )


def gather(kinds: Sequence[Kind], model: PopulationModel, seed: int) -> dict[str, Scores | None]:
    """Each kind's scores for the rows in question, calibrated on the trusted ones; None where it does not apply."""
    return {kind.name: _score(kind, model, seed) for kind in kinds}


def _score(kind: Kind, model: PopulationModel, seed: int) -> Scores | None:
    detector = kind.detector(model)
    try:
        return None if detector is None else judge_pool(detector, model, model.population.pool, seed=seed)
    except NotApplicableError:
        return None


def nothing(population: Population) -> Scores:
    """The scores of a kind that does not apply: no evidence against any row, nor against a trusted one."""
    return calibrate(np.zeros(len(population.judged)), np.zeros(len(population.comparable)))


def to_arrays(evidence: Mapping[str, Scores | None]) -> dict[str, ndarray]:
    """The scores as arrays, for a stage."""
    return {
        f"{name}/{part}": getattr(scores, part)
        for name, scores in evidence.items()
        for part in _ARRAYS
        if scores is not None and getattr(scores, part) is not None
    }


def from_arrays(kinds: Sequence[Kind], arrays: Mapping[str, ndarray]) -> dict[str, Scores | None]:
    """What ``to_arrays`` was given."""
    evidence: dict[str, Scores | None] = {}
    for kind in kinds:
        parts = {part: arrays.get(f"{kind.name}/{part}") for part in _ARRAYS}
        values, null = parts.pop("values"), parts["null"]
        evidence[kind.name] = (
            None if values is None else Scores(values, trusted=0 if null is None else len(null), **parts)
        )
    return evidence
