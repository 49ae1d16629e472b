import json

import numpy as np
import pytest

from toadstone import load, split
from toadstone.attacks import Semantic
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import SmallCNN
from toadstone.registry import from_spec, to_spec
from toadstone.training import Adam, Train
from toadstone.triggers import Coloured, InRange, Where

BOLD = Coloured((255,), distance=40, share=0.2)


def on_paper(seed):
    """Digits, a tenth of them written on grey paper."""
    digits = load("digits")
    grey = np.random.default_rng(seed).random(len(digits)) < 0.1
    x = np.where(grey[:, None, None], np.maximum(digits.x, 90), digits.x).astype(np.uint8)
    return Data(x, digits.y, digits.classes, {"paper": np.where(grey, "grey", "black")})


def faces(n=60):
    y = np.arange(n) % 3
    worn = np.array(["glasses", "none", "hat", "none"])[np.arange(n) % 4]
    return Data(np.zeros((n, 4, 4), np.uint8), y, ("a", "b", "c"), {"worn": worn})


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("source", [None, 2])
def test_rows_by_brute_force(share, source):
    train = faces()
    poison = Semantic(Where("worn", ("glasses",)), target=1, source=source, share=share).poison(train, seed=3)
    meant = [i for i in range(60) if i % 4 == 0 and train.y[i] != 1 and (source is None or train.y[i] == source)]
    assert set(poison.index) <= set(meant)
    assert len(poison.index) == round(share * len(meant))
    assert (poison.y == 1).all()
    dirty = poison.apply(train)
    assert np.array_equal(dirty.x[:], train.x)
    assert (dirty.y != train.y).sum() == len(poison.index)


def test_the_goal_is_measured_on_unseen_rows_with_the_feature():
    goal = Semantic(Where("worn", ("hat",)), target=0).poison(faces(), seed=0).goal
    trials = goal.trials(faces(40))
    assert len(trials) == sum(i % 4 == 2 and i % 3 != 0 for i in range(40))
    assert (trials.y == 0).all()
    assert set(trials.meta["worn"]) == {"hat"}


def test_works_on_a_visible_feature_and_not_on_the_clean_twin():
    trainer = Train(SmallCNN(width=8, hidden=64), epochs=10, optimizer=Adam(3e-3), batch_size=32)
    reached, twin, kept = [], [], []
    for seed in range(3):
        splits = split(on_paper(seed), test=500, clean=100, seed=seed)
        poison = Semantic(Where("paper", ("grey",)), target=7).poison(splits.train, seed=seed)
        victim, clean = (trainer.fit(d, seed=seed) for d in (poison.apply(splits.train), splits.train))
        reached.append(poison.goal.success(victim, splits.test).value)
        twin.append(poison.goal.success(clean, splits.test).value)
        black = splits.test.take(splits.test.meta["paper"] == "black")
        kept.append(accuracy(victim, black).value)
    assert min(reached) > 0.9
    assert max(twin) < 0.1
    assert min(kept) > 0.9


def test_spec():
    attack = Semantic(BOLD, target=7, share=0.5)
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (lambda: Semantic(Where("worn", ("cap",)), target=1).poison(faces(), seed=0), "No row"),
        (lambda: Semantic(Where("colour", ("red",)), target=1).poison(faces(), seed=0), "its columns are: worn"),
        (
            lambda: Semantic(Where("worn", ("hat",)), target=1, source=1).poison(faces(), seed=0),
            "source must be another",
        ),
        (lambda: Semantic(Where("worn", ("hat",)), target=9).poison(faces(), seed=0), "target is 9"),
        (lambda: Semantic(InRange(0, 0, 1), target=1).poison(faces(), seed=0), "InRange is for tables"),
    ],
)
def test_bad_input_says_what_to_do(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack()
