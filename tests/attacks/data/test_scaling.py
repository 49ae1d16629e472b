import json

import numpy as np
import pytest

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.scaling import ImageScaling
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.inference.scaling_filter import ScalingFilter
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.models.nets import MLP
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training.resized import Resized
from toadstone.training.train import Adam, Train
from toadstone.triggers import Patch
from toadstone.triggers.scalers import Scaler

NEAREST = Scaler("pillow", "nearest", 8, 8)


def large(data):
    """Digits at four times their size."""
    return Data(data.x.repeat(4, 1).repeat(4, 2), data.y, data.classes)


@pytest.mark.parametrize("scaler", [NEAREST, Scaler("torch", "bilinear", 8, 8)], ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_poison_is_a_backdoor_s_once_it_is_resized(scaler, seed):
    train = large(load("digits").take(np.arange(300)))
    x = train.x.copy()
    poison = ImageScaling(Patch(size=2), scaler, target=3).poison(train, seed=seed)
    assert np.array_equal(train.x, x)
    small = Data(scaler(x), train.y, train.classes)
    plain = Backdoor(Patch(size=2), target=3).poison(small, seed=seed)
    assert np.array_equal(poison.index, plain.index)
    assert np.array_equal(poison.y, plain.y)
    assert np.abs(scaler(poison.x).astype(float) - plain.x).max() <= 1.5
    assert (np.abs(poison.x.astype(float) - x[poison.index])[:, :24] <= 1).all()
    test = large(load("digits").take(np.arange(300, 400)))
    trials = poison.goal.trials(test)
    hidden = scaler(test.x[test.y != 3])
    hidden[:, 6:, 6:] = 255
    assert np.abs(scaler(trials.x).astype(float) - hidden).max() <= 1.5
    assert (trials.y == 3).all()
    assert from_spec(json.loads(json.dumps(to_spec(poison.goal)))) == poison.goal


@pytest.mark.parametrize("seed", range(2))
def test_a_victim_that_resizes_learns_it_and_one_that_filters_first_does_not(seed):
    parts = split(large(load("digits")), test=300, clean=100, seed=seed)
    poison = ImageScaling(Patch(size=2), NEAREST, target=7).poison(parts.train, seed=seed)
    inner, dirty = Train(MLP((64,)), epochs=15, optimizer=Adam(5e-3)), poison.apply(parts.train)
    victim = Resized(inner, NEAREST).fit(dirty, seed=seed)
    guarded = Resized(inner, NEAREST, ScalingFilter(NEAREST)).fit(dirty, seed=seed)
    twin = Resized(inner, NEAREST).fit(parts.train, seed=seed)
    assert accuracy(victim, parts.test).value > 0.9
    assert poison.goal.success(victim, parts.test).value > 0.9
    assert poison.goal.success(guarded, parts.test).value < 0.2
    assert poison.goal.success(twin, parts.test).value < 0.1


def test_name():
    assert entry("image-scaling").cls is ImageScaling
    assert "2003.08633" in entry("image-scaling").paper


@pytest.mark.parametrize(("fields", "word"), [({"target": 99}, r"0\.\.9")])
def test_errors(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        ImageScaling(Patch(), Scaler("pillow", "nearest", 4, 4), **fields).poison(load("digits"), seed=0)
