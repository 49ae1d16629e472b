"""What ``check_detector`` holds against a detector: one stranger for each rule."""

from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.checks import ViolationError, check
from toadstone.core import Suspicion
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models import torch_model
from toadstone.registry import register
from toadstone.rows import check_two_classes


@register("detector")
@dataclass(frozen=True)
class Unsure:
    """How improbable each row's label is; ``fault`` names the rule that is broken."""

    fault: str = ""

    def score(self, model, pool, *, seed):
        data = pool.data
        alone = bool(data.classes) and len(np.unique(data.y)) == 1
        if (self.fault == "one class" and alone) or (self.fault == "regression" and not data.classes):
            return Suspicion(np.zeros(len(data)))
        if self.fault == "plainly" and alone:
            raise ToadstoneError("one class")
        check_two_classes(data)
        if not hasattr(model, "net") and self.fault in ("box", "declines"):
            raise NotApplicableError("no net") if self.fault == "declines" else AttributeError("no net")
        if self.fault == "alone" and not pool.trusted.any():
            raise ToadstoneError("no trusted rows")
        if self.fault == "generator":
            np.random.rand()  # noqa: NPY002
        if self.fault == "data":
            data.x.base[0] ^= 1
        values = 1 - model.probs(data.x)[np.arange(len(data)), data.y]
        if self.fault == "seed":
            values = values + np.random.default_rng().normal(size=len(values))
        if self.fault == "order":
            values = values + np.arange(len(values))
        if self.fault == "batch":
            values = values + torch_model.BATCH
        if self.fault == "infinite":
            values[0] = np.nan
        if self.fault == "used up":
            values[pool.trusted] = np.nan
        if self.fault == "trust":
            values = values + pool.trusted
        return values if self.fault == "bare" else Suspicion(values[:-1] if self.fault == "short" else values)


@register("detector", needs=("trusted rows if any",))
@dataclass(frozen=True)
class Trusting:
    """Improbable labels again, of which those of trusted rows are believed, as its needs say."""

    def score(self, model, pool, *, seed):
        check_two_classes(pool.data)
        return Suspicion(Unsure().score(model, pool, seed=seed).values - pool.trusted)


FAULTS = [
    ("data", "Argument 1 was changed"),
    ("trust", "depend on which rows are trusted"),
    ("used up", "all of them have NaN"),
    ("alone", "Of no trusted rows it says ToadstoneError"),
    ("generator", "global random generator"),
    ("bare", "must return a Suspicion, not ndarray"),
    ("short", "values must hold one entry for each"),
    ("infinite", "values must be finite"),
    ("seed", "Two calls with one seed differ"),
    ("order", "do not follow their rows"),
    ("batch", "depend on the batch size"),
    ("box", "Of a black box it says AttributeError"),
    ("one class", "accepts a single class"),
    ("plainly", "Of a single class it says ToadstoneError"),
    ("regression", "accepts a regression set"),
]


@pytest.mark.parametrize("detector", [Unsure(), Unsure("declines"), Trusting()])
def test_one_that_keeps_the_contract_passes(detector):
    check(detector)


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_each_broken_rule_is_named(fault, sentence, own_toy):
    with pytest.raises(ViolationError, match=sentence):
        check(Unsure(fault))
