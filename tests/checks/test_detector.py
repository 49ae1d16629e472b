"""What ``check_detector`` holds against a detector: one stranger for each rule."""

from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.checks import ViolationError, check
from toadstone.core import Scores
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.models import torch_model
from toadstone.registry import register
from toadstone.rows import check_two_classes


@register("detector")
@dataclass(frozen=True)
class Unsure:
    """How improbable each row's label is; ``fault`` names the rule that is broken."""

    fault: str = ""

    def score(self, model, data, *, clean, seed):
        if self.fault == "one class" and data.classes and len(np.unique(data.y)) == 1:
            return None
        if self.fault == "plainly" and data.classes and len(np.unique(data.y)) == 1:
            raise ToadstoneError("one class")
        if self.fault == "regression" and not data.classes:
            return None
        check_two_classes(data)
        if not hasattr(model, "net") and self.fault in ("box", "declines"):
            raise NotApplicableError("no net") if self.fault == "declines" else AttributeError("no net")
        if self.fault == "generator":
            np.random.rand()  # noqa: NPY002
        if self.fault == "data":
            data.y[0] = (data.y[0] + 1) % 10
        values, null = (_unsure(model, rows) if rows is not None else None for rows in (data, clean))
        if self.fault == "seed":
            values = values + np.random.default_rng().normal(size=len(values))
        if self.fault == "order":
            values = values + np.arange(len(values))
        if self.fault == "batch":
            values = values + torch_model.BATCH
        if self.fault == "infinite":
            values[0] = np.nan
        if self.fault == "invented":
            null = values if null is None else null
        scores = calibrate(values[:-1] if self.fault == "short" else values, null)
        if self.fault == "no p-values":
            return Scores(scores.values)
        return scores.values if self.fault == "bare" else scores


def _unsure(model, rows):
    return 1 - model.probs(rows.x)[np.arange(len(rows)), rows.y]


FAULTS = [
    ("data", "Argument 1 was changed"),
    ("generator", "global random generator"),
    ("bare", "must return Scores, not ndarray"),
    ("short", "one number a row"),
    ("infinite", "values must be finite"),
    ("no p-values", "p-values must be one number a row"),
    ("seed", "Two calls with one seed differ"),
    ("order", "do not follow their rows"),
    ("batch", "depend on the batch size"),
    ("invented", "p-values without trusted rows are invented"),
    ("box", "Of a black box it says AttributeError"),
    ("one class", "accepts a single class"),
    ("plainly", "Of a single class it says ToadstoneError"),
    ("regression", "accepts a regression set"),
]


@pytest.mark.parametrize("fault", ["", "declines"])
def test_one_that_keeps_the_contract_passes(fault):
    check(Unsure(fault))


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_each_broken_rule_is_named(fault, sentence, own_toy):
    with pytest.raises(ViolationError, match=sentence):
        check(Unsure(fault))
