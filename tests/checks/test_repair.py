"""What ``check_repair`` holds against a repair: one stranger for each rule."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from toadstone.checks import ViolationError, check, check_repair
from toadstone.checks.common import toy
from toadstone.core import Evidence, Mended
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models import torch_model
from toadstone.registry import register
from toadstone.rows import check_two_classes


@register("repair", needs=("gradients",))
@dataclass(frozen=True)
class Nudge:
    """Moves the net's last layer a little; ``fault`` names the rule that is broken."""

    fault: str = ""

    def repair(self, model, clean, *, evidence=None, seed):
        single = bool(clean.classes) and len(np.unique(clean.y)) == 1
        if not (self.fault == "one class" and single) and not (self.fault == "regression" and not clean.classes):
            check_two_classes(clean, "clean")
        if self.fault == "evidence" and evidence is None:
            raise NotApplicableError("evidence is missing")
        self._meddle(model, clean, seed)
        if self.fault == "given":
            return Mended(model)
        net = copy.copy(model.net) if self.fault == "shallow" else copy.deepcopy(model.net)
        mended = replace(model, net=net)
        if self.fault == "shallow":
            net._modules = dict(model.net._modules)
        elif self.fault != "untouched copy":
            self._nudge(model, net)
        if self.fault == "half shared":
            list(net.modules())[-1].bias = list(model.net.modules())[-1].bias
        if self.fault == "names":
            mended = replace(mended, classes=tuple(reversed(model.classes)))
        logs = {"object": {"net": net}, "objects": {"all": np.array([net])}, "number": {"rates": {3: 1}}}
        log = logs.get(self.fault, {"layer": "last", "moved": np.ones(3), "steps": [1, {"loss": 0.5}], "none": None})
        return mended if self.fault == "bare" else Mended(mended, log)

    def _nudge(self, model, net):
        last = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
        with torch.no_grad():
            last.bias[0] += 0.01
            if self.fault == "ruined":
                last.weight.zero_()
            if self.fault == "seed":
                last.weight += torch.from_numpy(np.random.default_rng().normal(0, 0.05, last.weight.shape)).to(
                    last.weight
                )
            if self.fault == "mode":
                last.bias[1] += 5.0 * model.net.training
            if self.fault == "batch":
                last.bias[1] += torch_model.BATCH / 100

    def _meddle(self, model, clean, seed):
        if self.fault == "generator":
            torch.manual_seed(seed)
        if self.fault == "rows":
            clean.x[0] = 0
        if self.fault == "in place":
            self._nudge(model, model.net)
        if self.fault == "left in evaluation":
            model.net.eval()


ERRORS = {error.__name__: error for error in (AttributeError, ToadstoneError, NotApplicableError)}


@register("repair")
@dataclass(frozen=True)
class Careless:
    """A repair that takes whatever model; ``error`` names what it says of a black box."""

    error: str

    def repair(self, model, clean, *, evidence=None, seed):
        if not hasattr(model, "net"):
            raise ERRORS[self.error]("no net")
        return Nudge().repair(model, clean, seed=seed)


FAULTS = [
    ("in place", "Argument 0 was changed"),
    ("left in evaluation", "Argument 1 was changed"),
    ("rows", "Argument 2 was changed"),
    ("generator", "global random generator"),
    ("bare", r"must return Mended\(model, log\), not TorchModel"),
    ("given", "The model given came back"),
    ("shallow", "shares tensors"),
    ("half shared", "shares tensors"),
    ("untouched copy", "is a copy of the one given"),
    ("names", "must have the classes"),
    ("ruined", "no better than guessing"),
    ("object", r"log\['net'\] is a"),
    ("objects", r"log\['all'\] is a ndarray"),
    ("number", r"log\['rates'\] is a dict"),
    ("seed", "Two calls with one seed differ"),
    ("mode", "one of them on a net in training mode"),
    ("batch", "depends on the batch size"),
    ("one class", "accepts clean rows of a single class"),
    ("regression", "a regression set"),
]


def test_one_that_keeps_the_contract_passes():
    check(Nudge())
    check(Careless("NotApplicableError"))


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_each_broken_rule_is_named(fault, sentence, own_toy):
    with pytest.raises(ViolationError, match=sentence):
        check(Nudge(fault))


@pytest.mark.parametrize("error", ["AttributeError", "ToadstoneError"])
def test_a_black_box_is_not_applicable(error):
    with pytest.raises(ViolationError, match=f"Of a black box it says {error}"):
        check(Careless(error))


def test_one_that_builds_on_evidence_is_given_some():
    with pytest.raises(NotApplicableError, match="evidence is missing"):
        check_repair(Nudge("evidence"))
    k = len(toy().train.classes)
    check_repair(Nudge("evidence"), Evidence(np.zeros(k), np.ones(k), (None,) * k))
