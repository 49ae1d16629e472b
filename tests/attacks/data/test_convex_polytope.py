import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear, minimize

from toadstone.attacks.data.convex_polytope import (
    ConvexPolytope,
    coefficients,
    convex_polytope,
    distances,
    move_poisons,
)
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP
from toadstone.registry import entry, from_spec, to_spec
from toadstone.rng import child
from toadstone.training import Adam, Fit, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer
from toadstone.whitebox.balls import Simplex
from toadstone.whitebox.pixels import image_surrogate, to_unit

PUBLISHED = Pretrained(Train(MLP((24,)), epochs=6, batch_size=32, optimizer=Adam(3e-3)), "digits", tuple(range(2, 10)))
HEAD = Transfer(PUBLISHED)
IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)
SIMPLEX = {"type": "eq", "fun": lambda c: c.sum() - 1}


def pair(rows=200):
    """Zeros and ones: ``rows`` to train on, and the rest."""
    digits = load("digits")
    index = np.flatnonzero(digits.y < 2)
    data = Data(digits.x[index], digits.y[index], ("0", "1"))
    return data.take(np.arange(rows)), data.take(np.arange(rows, len(data)))


def on_simplex(objective, k):
    """The least value of ``objective`` on the simplex, by sequential quadratic programming."""
    found = minimize(
        objective,
        np.full(k, 1 / k),
        bounds=[(0, 1)] * k,
        constraints=SIMPLEX,
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return found.fun, found.x


def linear(m, k, d, seed=0):
    """A linear net on 4 pixels, m sets of k bases, m wanted features."""
    rng = np.random.default_rng(seed)
    matrix, bases = rng.normal(size=(d, 4)), rng.uniform(0.3, 0.7, (m, k, 1, 2, 2))
    wanted = rng.uniform(0, 1, (m, 4)) @ matrix.T
    net = (lambda x: x.flatten(1) @ torch.from_numpy(matrix).T, torch.from_numpy(wanted))
    return matrix, bases, wanted, net


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_projection_onto_the_simplex_against_a_quadratic_program(k, seed):
    v = 2 * np.random.default_rng(seed).normal(size=(3, k))
    ours = Simplex().project(torch.from_numpy(v)).numpy()
    assert np.allclose(ours.sum(1), 1)
    assert (ours >= 0).all()
    for row, found in zip(v, ours, strict=True):
        best = on_simplex(lambda c, row=row: ((c - row) ** 2).sum(), k)[1]
        assert np.allclose(found, best, atol=1e-5)


@pytest.mark.parametrize(("k", "d"), [(1, 3), (3, 8), (6, 4), (12, 30)])
def test_the_coefficients_are_the_best_on_the_simplex(k, d):
    rng = np.random.default_rng(k)
    offsets = rng.normal(0.3, 1, (5, k, d))
    ours = coefficients(torch.from_numpy(offsets), torch.ones(5), torch.full((5, k), 1 / k).double()).numpy()
    assert np.allclose(ours.sum(1), 1)
    assert (ours >= 0).all()
    for i in range(5):
        best = on_simplex(lambda c, i=i: ((c @ offsets[i]) ** 2).sum(), k)[0]
        assert best - 1e-9 <= ((ours[i] @ offsets[i]) ** 2).sum() <= best + 2e-5


def test_coefficients_where_every_point_is_the_target():
    c = coefficients(torch.zeros(2, 3, 4), torch.ones(2), torch.full((2, 3), 1 / 3))
    assert torch.allclose(c, torch.tensor(1 / 3))


def test_the_gradient_by_finite_differences():
    rng = np.random.default_rng(0)
    first, second = (torch.from_numpy(rng.normal(size=s)) for s in ((7, 4), (5, 7)))
    wanted = torch.from_numpy(rng.normal(size=(2, 5)))
    net = (lambda x: torch.tanh(x.flatten(1) @ first.T) @ second.T, wanted)
    x = torch.from_numpy(rng.random((2, 3, 1, 2, 2))).requires_grad_()

    def best(offsets, scale):  # the optimum moves with x, yet adds nothing to the gradient
        return coefficients(offsets, 1e-7 * scale, torch.full((2, 3), 1 / 3).double())

    (ours,) = torch.autograd.grad(distances(net, x, best).sum(), x)
    for place in np.ndindex(*x.shape):
        with torch.no_grad():
            up, down = x.clone(), x.clone()
            up[place] += 1e-5
            down[place] -= 1e-5
            slope = (distances(net, up, best).sum() - distances(net, down, best).sum()).item() / 2e-5
        assert ours[place].item() == pytest.approx(slope, abs=1e-5)


def test_the_distance_by_a_slow_loop():
    matrix, bases, wanted, net = linear(3, 2, 5)
    c = np.array([[0.1, 0.9], [1.0, 0.0], [0.5, 0.5]])
    ours = distances(net, torch.from_numpy(bases), lambda *_: torch.from_numpy(c)).numpy()
    for i in range(3):
        mix = sum(c[i, j] * matrix @ bases[i, j].ravel() for j in range(2))
        assert ours[i] == pytest.approx(((mix - wanted[i]) ** 2).sum() / (wanted[i] ** 2).sum())


def test_one_poison_of_a_linear_net_is_the_bounded_least_squares_solution():
    matrix, bases, wanted, net = linear(2, 1, 3)
    ours = convex_polytope([net], torch.from_numpy(bases), eps=40, lr=7.65, steps=60).numpy()
    for i in range(2):
        base = bases[i, 0].ravel()
        low, high = np.maximum(base - 40 / 255, 0), np.minimum(base + 40 / 255, 1)
        best = lsq_linear(matrix, wanted[i], (low, high)).cost
        assert ((matrix @ ours[i, 0].ravel() - wanted[i]) ** 2).sum() / 2 == pytest.approx(best, abs=2e-3)


def test_the_hull_of_three_poisons_takes_in_what_one_cannot_reach():
    bases = np.stack([np.roll([0.9, 0.1, 0.1, 0.1], j) for j in range(3)]).reshape(1, 3, 1, 2, 2)
    wanted = torch.tensor([[0.45, 0.45, 0.2, 0.1]], dtype=torch.double)
    net = (lambda x: x.flatten(1), wanted)
    three = convex_polytope([net], torch.from_numpy(bases), eps=5, lr=0.51, steps=20)
    best = on_simplex(lambda c: ((c @ three.numpy().reshape(3, 4) - wanted.numpy()[0]) ** 2).sum(), 3)[0]
    assert best < 1e-4
    assert min(((three[0, j].numpy().ravel() - wanted.numpy()[0]) ** 2).sum() for j in range(3)) > 0.3


def test_targets_do_not_depend_on_each_other_and_several_nets_count_alike():
    _, bases, _, one = linear(3, 2, 5)
    _, _, _, other = linear(3, 2, 6, seed=1)
    together = convex_polytope([one, other], torch.from_numpy(bases), eps=20, lr=2.55, steps=6)
    for i in range(3):
        alone = [(features, wanted[i : i + 1]) for features, wanted in (other, one)]
        single = convex_polytope(alone, torch.from_numpy(bases[i : i + 1]), eps=20, lr=2.55, steps=6)
        assert torch.allclose(single[0], together[i], atol=1e-6)


def test_descent_holds_its_bounds():
    bases = torch.rand(2, 3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    ends = move_poisons(lambda x: x.square().sum((1, 2, 3, 4)), bases, eps=30, lr=25.5, steps=5)
    assert torch.allclose(ends, (bases - 30 / 255).clamp(min=0))


@pytest.mark.slow
def test_poisons_take_an_image_to_their_class():
    train, held = pair()
    clean, hits = HEAD.fit(train, seed=0), 0
    for row in np.flatnonzero(held.y == 0)[:3]:
        attack = ConvexPolytope(held.x[row], 1, (HEAD,), count=25, eps=200, steps=30)
        poison = attack.poison(train, seed=0)
        victim = HEAD.fit(poison.apply(train), seed=1)
        moved = np.abs(poison.x.astype(int) - train.x[poison.index])
        assert len(poison.index) == 25
        assert (poison.y == 1).all()
        assert (train.y[poison.index] == 1).all()
        assert 0 < moved.max() <= 200
        assert poison.goal.success(clean, held).value == 0
        hits += poison.goal.success(victim, held).value
        assert (victim.probs(held.x).argmax(1) == held.y).mean() > 0.8
    assert hits >= 1  # no twin ever does


def test_the_attack_is_the_function_on_the_nearest_rows():
    train, held = pair()
    image, trainers = held.x[np.flatnonzero(held.y == 0)[0]], (Train(MLP((8,)), epochs=1), HEAD)
    poison = ConvexPolytope(image, 1, trainers, count=3, eps=30, steps=10).poison(train, seed=4)
    models = [image_surrogate(t, train, seed=child(4, "surrogate", str(i))) for i, t in enumerate(trainers)]
    nets = [(m.net.features, torch.from_numpy(m.features(image[None]))) for m in models]
    x = convex_polytope(nets, to_unit(train.x[poison.index])[None], 30, 10.2, 10)[0]
    assert np.abs(x.detach().numpy()[:, 0] * 255 - poison.x).max() < 0.51


def test_spec_and_names():
    attack = ConvexPolytope(IMAGE, 1, (HEAD, PUBLISHED))
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    found = entry("convex-polytope")
    assert (found.side, found.stage) == ("attacks", "data")
    assert "1905.05897" in found.paper


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"surrogates": ()}, "surrogates must hold at least one value"),
        ({"count": 0}, "count"),
        ({"steps": 0}, "steps"),
        ({"lr": 0.0}, "lr"),
        ({"eps": 0}, "eps"),
        ({"eps": 256}, "eps"),
        ({"image": IMAGE[0]}, "image"),
    ],
)
def test_impossible_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        ConvexPolytope(**{"image": IMAGE, "target": 1, "surrogates": (HEAD,), **fields})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"image": IMAGE[:5]}, r"shape \(5, 8\)"),
        ({"target": 2}, r"0\.\.1"),
        ({"count": 201}, "of class 1"),
        ({"surrogates": (HEAD, Fit())}, "TorchModel"),
    ],
)
def test_what_the_data_does_not_allow(fields, word):
    attack = ConvexPolytope(**{"image": IMAGE, "target": 1, "surrogates": (HEAD,), **fields})
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(pair()[0], seed=0)
