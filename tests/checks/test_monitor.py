"""What ``check_monitor`` holds against a monitor: one stranger for each rule."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from toadstone.checks import ViolationError, check
from toadstone.core import Scores
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.evaluation.calibration import calibrate
from toadstone.models import torch_model
from toadstone.registry import register
from toadstone.rows import check_rows


@register("monitor")
@dataclass(frozen=True)
class Sureness:
    """How sure the model is; ``fault`` names the rule that is broken."""

    fault: str = ""

    def watch(self, model, inputs, *, clean, seed):
        if self.fault != "empty":
            check_rows(inputs, "inputs")
        elif len(inputs) == 0:
            return None
        if self.fault == "shape" and inputs.shape[1:] != clean.x.shape[1:]:
            return None
        if inputs.shape[1:] != clean.x.shape[1:]:
            raise ToadstoneError("inputs are of another shape.")
        self._meddle(model, inputs, clean, seed)
        scores = calibrate(model.probs(inputs).max(1), model.probs(clean.x).max(1))
        values, p = scores.values.copy(), scores.pvalues
        if self.fault == "seed":
            values += np.random.default_rng().normal(size=len(values))
        if self.fault == "mode" and hasattr(model, "net"):
            values += model.net.training
        if self.fault == "place":
            values += np.arange(len(values))
        if self.fault == "neighbours":
            values -= values.mean()
        if self.fault == "batch":
            values += torch_model.BATCH
        if self.fault == "class":
            values += model.probs(inputs)[:, 0]
        if self.fault == "infinite":
            values[0] = np.inf
        if self.fault == "no p-values":
            p = None
        return values if self.fault == "bare" else Scores(values, p)

    def _meddle(self, model, inputs, clean, seed):
        if not hasattr(model, "net"):
            errors = {"box": AttributeError, "plain box": ToadstoneError, "declines": NotApplicableError}
            if self.fault in errors:
                raise errors[self.fault]("no net")
            return
        if self.fault == "generator":
            torch.rand(1)
        if self.fault == "inputs":
            inputs[0] = 0
        if self.fault == "clean":
            clean.x[0] = 0
        if self.fault == "training":
            model.net.train()
        if self.fault == "evaluation":
            model.net.eval()


FAULTS = [
    ("training", "Argument 0 was changed"),
    ("evaluation", "Argument 1 was changed"),
    ("inputs", "Argument 2 was changed"),
    ("clean", "Argument 3 was changed"),
    ("generator", "global random generator"),
    ("bare", "must return Scores, not ndarray"),
    ("infinite", "values must be finite"),
    ("no p-values", "p-values must be one number a row"),
    ("seed", "Two calls with one seed differ"),
    ("mode", "depend on the mode"),
    ("place", "do not follow their rows"),
    ("neighbours", "depends on its neighbours"),
    ("batch", "depend on the batch size"),
    ("class", "depend on the order of the classes"),
    ("box", "Of a black box it says AttributeError"),
    ("plain box", "Of a black box it says ToadstoneError"),
    ("shape", "accepts inputs of another shape"),
    ("empty", "accepts no inputs"),
]


@pytest.mark.parametrize("fault", ["", "declines"])
def test_one_that_keeps_the_contract_passes(fault):
    check(Sureness(fault))


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_each_broken_rule_is_named(fault, sentence, own_toy):
    with pytest.raises(ViolationError, match=sentence):
        check(Sureness(fault))
