"""What ``check_implant`` holds against an implant: one stranger for each rule."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from toadstone.checks import ViolationError, check
from toadstone.core import Rate, Tampered
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register


@dataclass(frozen=True)
class Whim:
    """A goal that counts its calls."""

    calls: list

    def trials(self, test):
        return test

    def success(self, model, test):
        self.calls.append(0)
        return Rate.of(len(self.calls), 99)


CALLS = []


@register("implant", needs=("gradients", "two classes"), threat=Threat(("weights",)))
@dataclass(frozen=True)
class Tilt:
    """Tilts the net towards its first class; ``fault`` names the rule that is broken."""

    fault: str = ""

    def implant(self, model, data, *, seed):
        if self.fault == "generator":
            np.random.rand()  # noqa: NPY002
        net = model.net if self.fault in ("in place", "given") else copy.deepcopy(model.net)
        last = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
        with torch.no_grad():
            if self.fault not in ("given", "copy"):
                last.bias[0] += 0.1
            if self.fault == "ruined":
                last.weight.zero_()
            if self.fault == "seed":
                last.bias[0] += float(np.random.default_rng().random())
        tampered = model if self.fault == "given" else replace(model, net=net)
        goals = {"rate": Twice(), "whim": Whim(CALLS)}
        goal = goals.get(self.fault, Availability())
        return tampered if self.fault == "bare" else Tampered(tampered, goal)


class Twice:
    def trials(self, test):
        return test

    def success(self, model, test):
        return Rate(2.0, 0.0, 1.0, 1)


@register("implant", threat=Threat(("weights",)))
@dataclass(frozen=True)
class Anything:
    """An implant that takes what it should refuse."""

    what: str

    def implant(self, model, data, *, seed):
        if not hasattr(model, "net"):
            if self.what == "box":
                return None
            raise ToadstoneError("plain") if self.what == "plainly" else NotApplicableError("no net")
        single, numbers = len(np.unique(data.y)) == 1, not data.classes
        if (single and self.what != "one class") or (numbers and self.what != "regression"):
            raise ToadstoneError("refused")
        return None if single or numbers else Tilt().implant(model, data, seed=seed)


FAULTS = [
    ("in place", "Argument 0 was changed"),
    ("generator", "global random generator"),
    ("bare", r"must return Tampered\(model, goal\), not TorchModel"),
    ("given", "The model given came back"),
    ("copy", "is a copy of the one given"),
    ("ruined", "no better than guessing"),
    ("seed", "Two calls with one seed differ"),
    ("rate", "is not a rate"),
    ("whim", "goals of two calls with one seed differ"),
]


def test_one_that_keeps_the_contract_passes():
    check(Tilt())


@pytest.mark.parametrize(("fault", "sentence"), FAULTS)
def test_each_broken_rule_is_named(fault, sentence, own_toy):
    with pytest.raises(ViolationError, match=sentence):
        check(Tilt(fault))


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("box", "accepts a black box"),
        ("plainly", "Of a black box it says ToadstoneError"),
        ("one class", "accepts a single class"),
        ("regression", "accepts a regression set"),
    ],
)
def test_what_should_be_refused_must_be(what, sentence):
    with pytest.raises(ViolationError, match=sentence):
        check(Anything(what))
