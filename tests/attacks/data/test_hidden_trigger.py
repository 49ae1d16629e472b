from itertools import permutations

import numpy as np
import pytest
import torch

from toadstone.attacks.data.hidden_trigger import HiddenTrigger, nearest_pairs
from toadstone.checks.common import toy, untouched
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP
from toadstone.rng import child
from toadstone.training import Adam, Fit, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer
from toadstone.triggers import Blend, Patch

QUICK = Train(MLP((16,)), epochs=1)
SQUARE = Patch(size=2)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 5, 3))
    found = nearest_pairs(torch.from_numpy(a), torch.from_numpy(b))
    sums = {order: sum(((a[i] - b[j]) ** 2).sum() for i, j in enumerate(order)) for order in permutations(range(5))}
    assert tuple(found) == min(sums, key=sums.get)


def slow_hide(attack, model, x, patched, seed):
    """Step by step and image by image, with pairs by brute force."""
    rng = np.random.default_rng(child(seed, "sources"))
    base = x[:, None].astype(np.float64) / 255
    found = base.copy()
    for _ in range(attack.steps):
        sources = patched[rng.choice(len(patched), len(x), replace=False)]
        aims = model.features(sources)
        images = torch.from_numpy(found.astype(np.float32)).requires_grad_()
        mine = [model.tap(image[None], model.feature_layer)[0].flatten() for image in images]
        far = [[((m - torch.from_numpy(a)) ** 2).sum() for a in aims] for m in mine]
        order = min(permutations(range(len(x))), key=lambda o: sum(far[i][j].item() for i, j in enumerate(o)))
        for i, j in enumerate(order):
            (slope,) = torch.autograd.grad(far[i][j], images, retain_graph=True)
            found[i] -= attack.lr / 255 * np.sign(slope[i].numpy())
        found = np.clip(np.clip(found, base - attack.eps / 255, base + attack.eps / 255), 0, 1)
    return np.rint(found[:, 0] * 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(2))
def test_against_the_slow_loop(seed):
    t = toy()
    attack = HiddenTrigger(SQUARE, 3, 8, QUICK, eps=12, steps=4, lr=5.0)
    x, patched = t.train.x[t.train.y == 3][:4], SQUARE(t.train.x[t.train.y == 8], seed=0)
    with t.model.frozen():
        expected = slow_hide(attack, t.model, x, patched, seed)
    with untouched(t.model, x, patched):
        found = attack.hide(t.model, x, patched, seed=seed)
    assert (found == expected).mean() > 0.99  # a slope that is 0 but for rounding may have either sign


@pytest.mark.parametrize("seed", range(3))
def test_poisons_come_near_to_patched_sources_that_they_do_not_look_like(seed):
    t = toy()
    x, patched = t.train.x[t.train.y == 3][:20], SQUARE(t.train.x[t.train.y == 8], seed=0)
    found = HiddenTrigger(SQUARE, 3, 8, QUICK, eps=48, steps=40, lr=3.0).hide(t.model, x, patched, seed=seed)

    def nearest(images):
        far = t.model.features(images)[:, None] - t.model.features(patched)
        return (far**2).sum(2).min(1)

    assert (nearest(found) < nearest(x)).all()
    assert nearest(found).mean() < 0.7 * nearest(x).mean()
    assert np.abs(found.astype(int) - x).max() <= 48


def test_labels_stay_true_and_no_training_row_shows_the_trigger():
    train = toy().train
    poison = HiddenTrigger(SQUARE, 3, 8, QUICK, rate=0.02, eps=9, steps=3, lr=4.0).poison(train, seed=0)
    assert len(poison.index) == round(0.02 * len(train))
    assert (train.y[poison.index] == 3).all()
    assert np.array_equal(poison.y, train.y[poison.index])
    assert 0 < np.abs(poison.x.astype(int) - train.x[poison.index]).max() <= 9
    assert poison.goal == BackdoorGoal(SQUARE, 3, 8)


def test_more_poisons_than_sources_and_colour():
    rng = np.random.default_rng(0)
    train = Data(rng.integers(0, 256, (40, 6, 6, 3), np.uint8), np.array([0] * 3 + [1] * 37), ("a", "b"))
    poison = HiddenTrigger(Blend(), 1, 0, QUICK, rate=0.2, steps=2).poison(train, seed=0)
    assert poison.x.shape == (8, 6, 6, 3)


def test_a_new_head_on_the_same_features_learns_a_trigger_that_it_never_saw():
    digits = load("digits")
    two = digits.take(np.isin(digits.y, (3, 8)))
    parts = split(Data(two.x, (two.y == 8).astype(int), ("3", "8")), test=150, clean=10)
    others = tuple(c for c in range(10) if c not in (3, 8))
    net = Train(MLP((64,)), epochs=20, optimizer=Adam(3e-3), batch_size=32)
    trainer = Transfer(Pretrained(net, "digits", classes=others))
    poison = HiddenTrigger(SQUARE, 0, 1, trainer, rate=0.1, eps=32, steps=60).poison(parts.train, seed=0)
    victim, twin = (trainer.fit(data, seed=1) for data in (poison.apply(parts.train), parts.train))
    assert poison.goal.success(victim, parts.test).value > poison.goal.success(twin, parts.test).value + 0.15


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"rate": 1.0}, "rate"),
        ({"eps": 0}, "eps"),
        ({"steps": 0}, "steps"),
        ({"lr": 0.0}, "lr"),
        ({"source": 3}, "source"),
    ],
)
def test_bad_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        HiddenTrigger(**{"trigger": SQUARE, "target": 3, "source": 8, "surrogate": QUICK, **fields})


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (HiddenTrigger(SQUARE, 3, 10, QUICK), "source"),
        (HiddenTrigger(Patch(9), 3, 8, QUICK), "fit"),
        (HiddenTrigger(SQUARE, 3, 8, Fit()), "TorchModel"),
    ],
)
def test_what_does_not_fit_the_data(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(toy().train, seed=0)
