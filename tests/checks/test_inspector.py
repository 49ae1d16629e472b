"""What ``check_inspector`` holds against an inspector: one stranger for each rule."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from toadstone.checks import ViolationError, check
from toadstone.checks.common import toy
from toadstone.core import Evidence
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models import torch_model
from toadstone.registry import register
from toadstone.rows import check_two_classes


@register("inspector")
@dataclass(frozen=True)
class MeanProbability:
    """How probable each class is on clean rows; ``fault`` names the rule that is broken."""

    fault: str = ""

    def inspect(self, model, clean, *, seed):
        open_model = hasattr(model, "net")
        single = bool(clean.classes) and len(np.unique(clean.y)) == 1
        if not (self.fault == "one class" and single) and not (self.fault == "regression" and not clean.classes):
            check_two_classes(clean, "clean")
        self._meddle(model, clean, seed, open_model)
        values = model.probs(clean.x).mean(0)
        if self.fault == "mode" and open_model:
            values = values + model.net.training
        if self.fault == "batch":
            values = values + torch_model.BATCH
        if self.fault == "first class":
            values[0] += 9
        if self.fault == "seed":
            values = values + np.random.default_rng().normal(size=len(values))
        if self.fault == "black box" and not open_model:
            raise AttributeError("no net")
        if self.fault == "black box, plainly" and not open_model:
            raise ToadstoneError("no net")
        k = len(values) - (self.fault == "short")
        p = np.full(k, 2.0 if self.fault == "p-value" else 1.0)
        if self.fault == "accuses the third":
            p[2] = 0.01
        if self.fault == "not numbers":
            values[1] = np.nan
        return (values, p) if self.fault == "tuple" else Evidence(values[:k], p, (None,) * k)

    def _meddle(self, model, clean, seed, open_model):
        if self.fault == "generator":
            np.random.seed(seed)  # noqa: NPY002
        if self.fault == "rows":
            clean.x[0] = 0
        if self.fault == "declines" and not open_model:
            raise NotApplicableError("no net")
        if not open_model:
            return
        with torch.no_grad():
            weight = next(model.net.parameters())
            if self.fault == "weights":
                weight += 1
            if self.fault == "gradient":
                weight.grad = torch.zeros_like(weight)
        if self.fault == "evaluation":
            model.net.eval()
        if self.fault == "training":
            model.net.train()
        if self.fault == "frozen":
            model.net.requires_grad_(False)
        if self.fault == "hook":
            model.net.register_forward_hook(lambda *_: None)


FAULTS = [
    ("weights", "Argument 0 was changed"),
    ("gradient", "Argument 0 was changed"),
    ("training", "Argument 0 was changed"),
    ("evaluation", "Argument 1 was changed"),
    ("frozen", "Argument 0 was changed"),
    ("hook", "Argument 0 was changed"),
    ("rows", "Argument 2 was changed"),
    ("generator", "global random generator"),
    ("tuple", "must return Evidence, not tuple"),
    ("short", "one entry a class"),
    ("not numbers", "values must be numbers"),
    ("p-value", "p-values lie in"),
    ("seed", "Two calls with one seed differ"),
    ("mode", "depends on the mode"),
    ("batch", "depends on the batch size"),
    ("first class", "does not follow a permutation of the classes"),
    ("accuses the third", "accused do not follow a permutation"),
    ("black box", "Of a black box it says AttributeError"),
    ("black box, plainly", "Of a black box it says ToadstoneError"),
    ("one class", "accepts trusted rows of a single class"),
    ("regression", "a regression set"),
]


@pytest.mark.parametrize("fault", ["", "declines"])
def test_one_that_keeps_the_contract_passes(fault):
    check(MeanProbability(fault))


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_each_broken_rule_is_named(fault, sentence, own_toy):
    with pytest.raises(ViolationError, match=sentence):
        check(MeanProbability(fault))


def test_faults_leave_nothing_behind():
    check(MeanProbability())
    assert not toy().model.net.training
