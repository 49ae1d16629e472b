import json

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from toadstone.attacks.data.feature_collision import FeatureCollision, Splitting, backward, collide
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP
from toadstone.registry import entry, from_spec, to_spec
from toadstone.training import Adam, Fit, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer
from toadstone.triggers.blend import blend
from toadstone.whitebox.features import nearest_rows

HEAD = Transfer(
    Pretrained(Train(MLP((48,)), epochs=6, batch_size=32, optimizer=Adam(3e-3)), "digits", tuple(range(2, 10))),
    l2=1e-6,
)
IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


def pair(rows=60):
    """Zeros and ones: ``rows`` to train on, and the rest."""
    digits = load("digits")
    index = np.flatnonzero(digits.y < 2)
    data = Data(digits.x[index], digits.y[index], ("0", "1"))
    return data.take(np.arange(rows)), data.take(np.arange(rows, len(data)))


def smooth(m=4, d=5, seed=0):
    """A tiny smooth net in float64 for (m, 1, 3, 3) images, bases and wanted features."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(d, 9)) / 3
    bases, wanted = rng.uniform(0.2, 0.8, (m, 1, 3, 3)), rng.normal(size=(m, d))
    return weight, torch.from_numpy(bases), torch.from_numpy(wanted)


@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_the_backward_step_is_the_proximal_step(weight):
    rng = np.random.default_rng(0)
    x, base = rng.random((2, 5))

    def objective(z):
        return ((z - x) ** 2).sum() / 2 + weight / 2 * ((z - base) ** 2).sum()

    ours = backward(*(torch.from_numpy(v).reshape(1, 1, 1, 5) for v in (x, base)), torch.full((1, 1, 1, 1), weight))
    assert np.allclose(ours.numpy().ravel(), minimize(objective, x, tol=1e-12).x, atol=1e-5)


def test_linear_features_reach_the_ridge_solution():
    rng = np.random.default_rng(0)
    matrix, base = rng.normal(size=(4, 9)), rng.uniform(0.4, 0.6, (3, 9))
    wanted = (base + rng.uniform(-0.1, 0.1, (3, 9))) @ matrix.T
    beta = 50.0 * (4 / 9) ** 2
    best = np.linalg.solve(2 * matrix.T @ matrix + beta * np.eye(9), 2 * matrix.T @ wanted.T + beta * base.T).T
    assert ((best > 0) & (best < 1)).all()
    found = collide(
        lambda x: x.flatten(1) @ torch.from_numpy(matrix).T,
        torch.from_numpy(base).reshape(3, 1, 3, 3),
        torch.from_numpy(wanted),
        Splitting(beta=50.0, step_size=1.0, steps=500),
    )
    assert np.allclose(found.numpy().reshape(3, 9), best, atol=1e-6)


def slow_collision(weight, base, wanted, how):
    """One poison, in plain loops, with gradients by finite differences."""

    def part(x):
        return ((np.tanh(weight @ x) - wanted) ** 2).sum()

    beta = how.beta * (len(wanted) / len(base)) ** 2
    room = 1.0 if how.eps is None else how.eps / 255
    x, lr = base.copy(), how.step_size
    for _ in range(how.steps):
        slope = [(part(x + h) - part(x - h)) / 2e-6 for h in 1e-6 * np.eye(len(x))]
        new = (x - lr * np.array(slope) + lr * beta * base) / (1 + lr * beta)
        new = np.clip(np.clip(new, base - room, base + room), 0, 1)
        was, now = (part(v) + beta / 2 * ((v - base) ** 2).sum() for v in (x, new))
        if now > was:
            lr /= 2
        else:
            x = new
    return x, lr


@pytest.mark.parametrize("eps", [None, 20])
def test_every_poison_by_a_slow_loop(eps):
    weight, bases, wanted = smooth()
    how = Splitting(beta=0.3, step_size=20.0, steps=25, eps=eps)
    ours = collide(lambda x: torch.tanh(x.flatten(1) @ torch.from_numpy(weight).T), bases, wanted, how)
    rates = set()
    for i in range(len(bases)):
        x, lr = slow_collision(weight, bases[i].numpy().ravel(), wanted[i].numpy(), how)
        assert np.allclose(ours[i].numpy().ravel(), x, atol=1e-5)
        rates.add(lr)
    assert min(rates) < how.step_size


def test_the_objective_never_rises_and_the_bounds_hold():
    weight, bases, wanted = smooth(seed=1)

    def features(x):
        return torch.tanh(x.flatten(1) @ torch.from_numpy(weight).T)

    far = []
    for steps in range(1, 30, 4):
        x = collide(features, bases, wanted, Splitting(beta=0.0, step_size=50.0, steps=steps, eps=30))
        far.append((features(x) - wanted).square().sum(1).numpy())
        assert ((x - bases).abs() <= 30 / 255 + 1e-12).all()
        assert ((x >= 0) & (x <= 1)).all()
    assert (np.diff(far, axis=0) <= 0).all()
    assert (far[-1] < far[0]).any()


def test_the_nearest_rows_by_brute_force():
    train, held = pair()
    models = tuple(Train(MLP((6,)), epochs=1).fit(train, seed=s) for s in range(2))
    image = held.x[np.flatnonzero(held.y == 0)[0]]

    def far(i):
        both = [m.features(np.stack([image, train.x[i]])) for m in models]
        return sum(((b - a) ** 2).sum() / (a**2).sum() for a, b in both)

    rows = sorted((i for i in range(60) if train.y[i] == 1), key=far)
    assert nearest_rows(models, train, image, 1, 7).tolist() == sorted(rows[:7])


def test_one_poison_takes_one_image_to_its_class():
    train, held = pair()
    clean, hits, right = HEAD.fit(train, seed=0), 0, []
    for row in np.flatnonzero(held.y == 0)[:6]:
        attack = FeatureCollision(held.x[row], 1, HEAD, beta=0.01, steps=400)
        poison = attack.poison(train, seed=0)
        victim = HEAD.fit(poison.apply(train), seed=1)
        assert len(poison.index) == 1
        assert train.y[poison.index] == poison.y == 1
        assert poison.goal.success(clean, held).value == 0
        hits += poison.goal.success(victim, held).value
        right.append((victim.probs(held.x).argmax(1) == held.y).mean())
    assert hits >= 4
    assert np.mean(right) > 0.7


def test_the_watermark_is_the_image_blended_into_the_bases():
    train, held = pair()
    image = held.x[np.flatnonzero(held.y == 0)[0]]
    plain, marked = (
        FeatureCollision(image, 1, Train(MLP((6,)), epochs=1), count=5, step_size=1e-12, steps=1, opacity=o)
        for o in (0.0, 0.3)
    )
    poison = plain.poison(train, seed=0)
    assert np.array_equal(poison.x, train.x[poison.index])
    again = marked.poison(train, seed=0)
    assert np.array_equal(again.index, poison.index)
    assert np.array_equal(again.x, blend(train.x[poison.index], image, 0.3))


@pytest.mark.parametrize("colour", [False, True])
def test_rows_keep_their_labels_and_their_budget(colour):
    train, held = pair()
    x, image = train.x, held.x[np.flatnonzero(held.y == 0)[0]]
    if colour:
        x, image = x[..., None].repeat(3, 3), image[..., None].repeat(3, 2)
    train = Data(x, train.y, train.classes)
    poison = FeatureCollision(image, 1, Train(MLP((6,)), epochs=2), count=4, eps=5, steps=30).poison(train, seed=0)
    moved = np.abs(poison.x.astype(int) - train.x[poison.index])
    assert poison.x.shape == (4, *x.shape[1:])
    assert 0 < moved.max() <= 5
    assert (poison.y == 1).all()
    assert (train.y[poison.index] == 1).all()


def test_spec_and_names():
    attack = FeatureCollision(IMAGE, 1, HEAD, count=3, opacity=0.2)
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    found = entry("feature-collision")
    assert (found.side, found.stage) == ("attacks", "data")
    assert "1804.00792" in found.paper


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"count": 0}, "count"),
        ({"steps": 0}, "steps"),
        ({"beta": -1.0}, "beta"),
        ({"step_size": 0.0}, "step_size"),
        ({"step_size": float("nan")}, "step_size"),
        ({"opacity": 1.0}, "opacity"),
        ({"eps": 0}, "eps"),
        ({"image": IMAGE / 255}, "integers"),
    ],
)
def test_impossible_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        FeatureCollision(**{"image": IMAGE, "target": 1, "surrogate": HEAD, **fields})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"image": IMAGE[:5]}, r"shape \(5, 8\)"),
        ({"target": 2}, r"0\.\.1"),
        ({"target": -1}, r"0\.\.1"),
        ({"count": 61}, "29 rows of class 1"),
        ({"surrogate": Fit()}, "TorchModel"),
        ({"surrogate": Pretrained(Train(MLP((4,)), epochs=1), "digits")}, "10 classes but train has 2"),
    ],
)
def test_what_the_data_does_not_allow(fields, word):
    attack = FeatureCollision(**{"image": IMAGE, "target": 1, "surrogate": Train(MLP((4,)), epochs=1), **fields})
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(pair()[0], seed=0)


def test_a_surrogate_whose_features_have_another_shape():
    wide = Data(np.zeros((10, 9, 9), np.uint8), np.arange(10) % 2, ("0", "1"))
    with pytest.raises(ToadstoneError, match=r"\(9, 9\) but those of digits have \(8, 8\)"):
        FeatureCollision(np.zeros((9, 9), np.uint8), 1, HEAD).poison(wide, seed=0)
    with pytest.raises(ToadstoneError, match="regression"):
        FeatureCollision(IMAGE, 1, HEAD).poison(Data(np.zeros((4, 8, 8), np.uint8), np.zeros(4), ()), seed=0)
