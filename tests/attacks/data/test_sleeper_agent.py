from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from toadstone.attacks.data import sleeper_agent
from toadstone.attacks.data.sleeper_agent import SleeperAgent, gradient_norms, mean_gradient
from toadstone.checks.common import toy
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP, PreActResNet
from toadstone.rng import child
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import Patch
from toadstone.whitebox.pixels import to_unit

QUICK = Train(MLP((16,)), epochs=1)
SQUARE = Patch(size=2)


def slow_gradients(net, x, y):
    """Row by row, from the module's own graph."""
    found = []
    for image, label in zip(x, y, strict=True):
        loss = -torch.log_softmax(net(image[None]), 1)[0, label]
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))]))
    return torch.stack(found)


@pytest.mark.parametrize("design", [MLP((5,)), PreActResNet(8, (1, 1))])
def test_gradients_against_the_slow_loop(design, monkeypatch):
    rng = np.random.default_rng(0)
    with torch.random.fork_rng():
        net = design.build((3, 8, 8), 4).eval()
    x, y = to_unit(rng.integers(0, 256, (11, 8, 8, 3), np.uint8)), torch.arange(11) % 4
    slow = slow_gradients(net, x, y)
    for piece in (3, 100):
        monkeypatch.setattr(sleeper_agent, "_ROWS", piece)
        monkeypatch.setattr(sleeper_agent, "_PIECE", piece)
        assert torch.allclose(gradient_norms(net, x, y), slow.norm(dim=1), rtol=1e-4)
        alike = slow_gradients(net, x, torch.full((11,), 2)).mean(0)
        assert torch.allclose(mean_gradient(net, x, 2), alike, rtol=1e-3, atol=1e-5)


@dataclass(frozen=True)
class Spy:
    """A trainer that notes what it was asked for."""

    seen: list = field(default_factory=list)

    def fit(self, train, *, seed):
        self.seen.append((np.asarray(train.x).copy(), train.y.copy(), seed))
        return QUICK.fit(train, seed=seed)


@pytest.mark.parametrize("seed", range(2))
def test_the_rows_are_those_of_the_largest_gradients(seed):
    train = toy().train
    poison = SleeperAgent(SQUARE, 3, 8, QUICK, rate=0.02, steps=1, retrain=0).poison(train, seed=seed)
    model = QUICK.fit(train, seed=child(seed, "surrogate", "0"))
    rows = np.flatnonzero(train.y == 3)
    norms = slow_gradients(model.net, to_unit(train.x[rows]), torch.full((len(rows),), 3)).norm(dim=1).numpy()
    chosen = np.isin(rows, poison.index)
    assert chosen.sum() == len(poison.index) == round(0.02 * len(train))
    assert norms[chosen].min() >= norms[~chosen].max() - 1e-6


def test_the_surrogate_is_retrained_on_what_was_crafted_so_far():
    train, spy = toy().train, Spy()
    poison = SleeperAgent(SQUARE, 3, 8, spy, rate=0.02, eps=9, steps=7, retrain=2).poison(train, seed=0)
    assert len(spy.seen) == 3
    assert len({seed for *_, seed in spy.seen}) == 3
    assert np.array_equal(spy.seen[0][0], train.x)
    for x, y, _ in spy.seen[1:]:
        changed = np.flatnonzero((x != train.x).any((1, 2)))
        assert set(changed) <= set(poison.index)
        assert 0 < np.abs(x.astype(int) - train.x).max() <= 9
        assert np.array_equal(y, train.y)
    assert not np.array_equal(spy.seen[1][0], spy.seen[2][0])
    assert not np.array_equal(spy.seen[2][0][poison.index], poison.x)


@pytest.mark.parametrize("seed", range(3))
def test_crafting_turns_the_gradient_towards_that_of_patched_sources(seed):
    train, trainer = toy().train, Train(MLP((32,)), epochs=8, batch_size=32)
    poison = SleeperAgent(SQUARE, 3, 8, trainer, rate=0.02, steps=30, retrain=0).poison(train, seed=seed)
    net = trainer.fit(train, seed=child(seed, "surrogate", "0")).net
    patched = to_unit(SQUARE(train.x[train.y == 8], seed=0))
    wanted = slow_gradients(net, patched, torch.full((len(patched),), 3)).mean(0)
    y = torch.full((len(poison.index),), 3)
    clean, crafted = (
        torch.cosine_similarity(wanted, slow_gradients(net, to_unit(x), y).mean(0), dim=0).item()
        for x in (train.x[poison.index], poison.x)
    )
    assert 1 - crafted < 0.8 * (1 - clean)


def test_labels_stay_true_and_no_training_row_shows_the_trigger():
    train = toy().train
    poison = SleeperAgent(SQUARE, 3, 8, QUICK, rate=0.02, eps=9, steps=3, retrain=1).poison(train, seed=0)
    assert (train.y[poison.index] == 3).all()
    assert np.array_equal(poison.y, train.y[poison.index])
    assert 0 < np.abs(poison.x.astype(int) - train.x[poison.index]).max() <= 9
    assert poison.goal == BackdoorGoal(SQUARE, 3, 8)


def test_victims_trained_from_scratch_learn_a_trigger_that_they_never_saw():
    parts = split(load("digits"), test=400, clean=100)
    trainer = Train(MLP((64,)), epochs=20, optimizer=Adam(3e-3), batch_size=32)
    attack = SleeperAgent(SQUARE, 3, 8, trainer, rate=0.03, eps=64, steps=40, retrain=1)
    poison = attack.poison(parts.train, seed=0)
    for seed in range(1, 3):
        victim, twin = (trainer.fit(data, seed=seed) for data in (poison.apply(parts.train), parts.train))
        assert poison.goal.success(victim, parts.test).value > 0.5
        assert poison.goal.success(twin, parts.test).value < 0.1


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"rate": 1.0}, "rate"),
        ({"eps": 0}, "eps"),
        ({"steps": 0, "retrain": 0}, "steps"),
        ({"steps": 4}, "retrain"),
        ({"retrain": -1}, "retrain"),
        ({"source": 3}, "source"),
    ],
)
def test_bad_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        SleeperAgent(**{"trigger": SQUARE, "target": 3, "source": 8, "surrogate": QUICK, **fields})


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (SleeperAgent(SQUARE, 3, 10, QUICK), "source"),
        (SleeperAgent(Patch(9), 3, 8, QUICK), "fit"),
        (SleeperAgent(SQUARE, 3, 8, Fit()), "TorchModel"),
    ],
)
def test_what_does_not_fit_the_data(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(toy().train, seed=0)
