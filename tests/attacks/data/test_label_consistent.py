import numpy as np
import pytest
import torch

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.label_consistent import LabelConsistent
from toadstone.checks.common import toy, untouched
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.nets import MLP, Logistic
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import Chain, Patch
from toadstone.whitebox.pixels import to_unit

QUICK = Train(MLP((16,)), epochs=1)
SQUARE = Patch(size=2)


def two_classes():
    """Colour images that stay away from black and white, so that the box of pixels cuts nothing."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    return Data((rng.integers(80, 140, (60, 4, 5, 3)) + 30 * y[:, None, None, None]).astype(np.uint8), y, ("a", "b"))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_model_s_adversary_in_closed_form(norm):
    train = two_classes()
    model = Train(Logistic(), epochs=3).fit(train, seed=0)
    found = LabelConsistent(SQUARE, 1, QUICK, norm=norm, eps=20, steps=25).harden(model, train.x[train.y == 1])
    weight = model.net[1].weight.detach().numpy()
    away = (weight[0] - weight[1]).reshape(3, 4, 5).transpose(1, 2, 0)
    step = 20 * np.sign(away) if norm == "linf" else np.trunc(20 * away / np.linalg.norm(away))
    change = found.astype(int) - train.x[train.y == 1]
    if norm == "linf":
        assert np.array_equal(change, np.broadcast_to(step, change.shape))
    else:  # what is 1e-6 below a whole number is stored as the one below
        assert np.abs(change - step).max() <= 1
        assert (change == step).mean() > 0.98


@pytest.mark.parametrize(("norm", "eps", "order"), [("linf", 16, np.inf), ("l2", 100, 2)])
@pytest.mark.parametrize("seed", range(2))
def test_rows_become_hard_within_the_budget(norm, eps, order, seed):
    t = toy()
    x = t.train.x[t.train.y == 3][20 * seed : 20 * seed + 20]
    with untouched(t.model, x):
        found = LabelConsistent(SQUARE, 3, QUICK, norm=norm, eps=eps, steps=20).harden(t.model, x)
    change = (found.astype(int) - x).reshape(20, -1)
    assert np.linalg.norm(change, order, axis=1).max() <= eps
    assert np.linalg.norm(change, order, axis=1).min() > 0.7 * eps
    assert (t.model.probs(found)[:, 3] < t.model.probs(x)[:, 3]).all()
    with torch.no_grad():
        before, after = (torch.log_softmax(t.model.net(to_unit(z)), 1)[:, 3].mean() for z in (x, found))
    assert after < 1.5 * before  # the mean log-probability


def test_labels_stay_true_and_the_trigger_is_on_top():
    train = toy().train
    poison = LabelConsistent(SQUARE, 3, QUICK, rate=0.02, eps=9, steps=3).poison(train, seed=0)
    assert len(poison.index) == round(0.02 * len(train))
    assert (train.y[poison.index] == 3).all()
    assert np.array_equal(poison.y, train.y[poison.index])
    assert (poison.x[:, 6:, 6:] == 255).all()
    change = np.abs(poison.x.astype(int) - train.x[poison.index])
    change[:, 6:, 6:] = 0
    assert 0 < change.max() <= 9
    assert poison.goal == BackdoorGoal(SQUARE, 3)


def test_hard_rows_leave_the_trigger_to_be_learnt():
    parts = split(load("digits"), test=400, clean=100)
    trainer = Train(MLP((64,)), epochs=20, optimizer=Adam(3e-3), batch_size=32)
    corners = Chain(tuple(Patch(1, place) for place in ("top-left", "top-right", "bottom-left", "bottom-right")))
    hard = LabelConsistent(corners, 3, trainer, rate=0.03, eps=64, steps=20)
    plain = Backdoor(corners, 3, rate=0.03, clean_label=True)
    success = []
    for attack in (hard, plain):
        poison = attack.poison(parts.train, seed=0)
        victims = [trainer.fit(poison.apply(parts.train), seed=seed) for seed in (1, 2)]
        success.append(np.mean([poison.goal.success(victim, parts.test).value for victim in victims]))
    assert success[0] > success[1] + 0.1


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"rate": 1.0}, "rate"),
        ({"eps": 0}, "eps"),
        ({"steps": 0}, "steps"),
        ({"norm": "l1"}, "norm is 'l1': use linf or l2"),
    ],
)
def test_bad_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        LabelConsistent(SQUARE, 3, QUICK, **fields)


@pytest.mark.parametrize(
    ("attack", "word"),
    [(LabelConsistent(Patch(9), 3, QUICK), "fit"), (LabelConsistent(SQUARE, 3, Fit()), "TorchModel")],
)
def test_what_does_not_fit_the_data(attack, word):
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(toy().train, seed=0)
