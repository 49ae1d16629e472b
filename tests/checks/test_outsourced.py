from dataclasses import dataclass, replace

import numpy as np
import pytest

from toadstone.attacks import Backdoor
from toadstone.checks import ViolationError, check, check_outsourced
from toadstone.checks.common import toy
from toadstone.core import Rate, Tampered
from toadstone.models.nets import MLP
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_two_classes
from toadstone.training import Adam, Train
from toadstone.triggers import Patch

GOOD = Train(MLP((32,)), epochs=3, optimizer=Adam(1e-2), batch_size=32)


@register("outsourced", threat=Threat(("training",)))
@dataclass(frozen=True)
class Planted:
    """Poisons what it is given and trains on that; ``fault`` names the clause that it breaks."""

    fault: str = ""

    def train(self, train, *, seed):
        attack = Backdoor(Patch(size=2), target=3, rate=0.2)
        single = len(train.classes) > 0 and len(np.unique(train.y)) == 1
        if (self.fault == "regression" and not train.classes) or (self.fault == "one class" and single):
            train = toy().train
        check_two_classes(train)
        if self.fault == "generator":
            np.random.rand()  # noqa: NPY002
        if self.fault == "data":
            train.x[0] += 1
        trainer = replace(GOOD, epochs=1, optimizer=Adam(1e-9)) if self.fault == "guessing" else GOOD
        seed = 0 if self.fault == "one seed" else seed
        model = trainer.fit(attack.poison(train, seed=seed).apply(train), seed=seed)
        return Tampered(model, Twice() if self.fault == "rate" else attack.goal(train))


class Twice:
    def trials(self, test):
        return test

    def success(self, model, test):
        return Rate(2.0, 0.0, 1.0, 1)


def test_one_that_keeps_the_contract_passes_by_name():
    check(Planted())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("one class", "accepts a single class"),
        ("regression", "accepts a regression set"),
        ("generator", "global random generator"),
        ("data", "Argument 0 was changed"),
        ("guessing", "no better than guessing"),
        ("one seed", "Another seed changes nothing"),
        ("rate", "is not a rate"),
    ],
)
def test_each_broken_clause_is_named(fault, sentence):
    toy()  # made before, as a fault may change the rows it is made of
    before = toy().train.x[0].copy()
    try:
        with pytest.raises(ViolationError, match=sentence):
            check_outsourced(Planted(fault))
    finally:
        toy().train.x[0] = before


def test_a_seed_that_is_not_used_alike_twice():
    calls = []

    @dataclass(frozen=True)
    class Moody:
        def train(self, train, *, seed):
            calls.append(seed)
            return Planted().train(train, seed=child(seed, str(len(calls))))

    with pytest.raises(ViolationError, match="Two calls with one seed differ"):
        check_outsourced(Moody())
