import json

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear
from torch import nn

from toadstone.attacks.data.bullseye_polytope import BullseyePolytope, averaged_copies, bullseye
from toadstone.attacks.data.convex_polytope import ConvexPolytope, convex_polytope
from toadstone.core import Data
from toadstone.data import load
from toadstone.errors import ToadstoneError
from toadstone.models import Pixels, TorchModel
from toadstone.models.nets import MLP
from toadstone.registry import entry, from_spec, to_spec
from toadstone.rng import torch_seed
from toadstone.training import Adam, Train
from toadstone.training.pretrained import Pretrained
from toadstone.training.transfer import Transfer

PUBLISHED = Pretrained(Train(MLP((24,)), epochs=6, batch_size=32, optimizer=Adam(3e-3)), "digits", tuple(range(2, 10)))
HEAD = Transfer(PUBLISHED)
IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


def pair(rows=200):
    """Zeros and ones: ``rows`` to train on, and the rest."""
    digits = load("digits")
    index = np.flatnonzero(digits.y < 2)
    data = Data(digits.x[index], digits.y[index], ("0", "1"))
    return data.take(np.arange(rows)), data.take(np.arange(rows, len(data)))


def linear(m, k, d, seed=0):
    """A linear net on 4 pixels, m sets of k bases, m wanted features."""
    rng = np.random.default_rng(seed)
    matrix, bases = rng.normal(size=(d, 4)), rng.uniform(0.3, 0.7, (m, k, 1, 2, 2))
    wanted = rng.uniform(0, 1, (m, 4)) @ matrix.T
    net = (lambda x: x.flatten(1) @ torch.from_numpy(matrix).T, torch.from_numpy(wanted))
    return matrix, bases, wanted, net


def test_the_mean_of_a_linear_net_is_the_bounded_least_squares_solution():
    matrix, bases, wanted, net = linear(4, 3, 3)
    ours = bullseye([net], torch.from_numpy(bases), eps=40, lr=2.55, steps=200).numpy()
    for i in range(4):
        mean = bases[i].reshape(3, 4).mean(0)
        low, high = mean - 40 / 255, mean + 40 / 255  # no base is near 0 or 1
        best = lsq_linear(matrix, wanted[i], (low, high)).cost
        found = ours[i].reshape(3, 4).mean(0)
        assert ((matrix @ found - wanted[i]) ** 2).sum() / 2 == pytest.approx(best, abs=2e-3)


def test_a_step_by_a_slow_loop_over_targets_nets_and_poisons():
    parts = [linear(2, 3, d, seed=d) for d in (3, 6)]
    bases = parts[0][1]
    ours = bullseye([net for *_, net in parts], torch.from_numpy(bases), eps=255, lr=2.55, steps=1).numpy()
    slope = np.zeros_like(bases)
    for matrix, _, wanted, _ in parts:
        for i in range(2):
            off = sum(matrix @ bases[i, j].ravel() for j in range(3)) / 3 - wanted[i]
            for j in range(3):
                slope[i, j] += (2 * matrix.T @ off / 3 / (wanted[i] ** 2).sum() / 2).reshape(1, 2, 2)
    assert np.allclose(ours, bases - 0.01 * slope / (np.abs(slope) + 1e-8))  # Adam's first step


def test_the_polytope_is_at_least_as_near_and_the_bullseye_nearer_to_the_middle():
    *_, net = linear(4, 3, 8)
    bases = torch.from_numpy(linear(4, 3, 8)[1])

    def off_centre(x):
        return (net[0](x.flatten(0, 1)).unflatten(0, (4, 3)).mean(1) - net[1]).square().sum(1)

    hull, centre = (craft([net], bases, eps=60, lr=2.55, steps=80) for craft in (convex_polytope, bullseye))
    assert (off_centre(centre) <= off_centre(hull) + 1e-3).all()
    assert (off_centre(centre) < off_centre(hull) - 1e-3).any()


def flat_model():
    with torch_seed(3):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.Linear(20, 2))
    return TorchModel(net, "1", Pixels(8, 8), ("a", "b"))


def test_copies_of_a_linear_net_average_to_the_net():
    model, x = flat_model(), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = averaged_copies(model, 1)(x)
    assert torch.equal(plain, model.net[1](x.flatten(1)))
    with torch_seed(0):
        few, many = averaged_copies(model, 3)(x), averaged_copies(model, 4000)(x)
        other = averaged_copies(model, 3)(x)
    assert torch.allclose(many, plain, atol=0.03)
    assert not torch.allclose(few, plain, atol=0.03)
    assert not torch.equal(few, other)
    assert torch.equal(averaged_copies(model, 1)(x), plain)  # nothing is left in the net


def test_a_fifth_of_the_channels_is_dropped_whole():
    with torch_seed(0):
        net = nn.Sequential(nn.Conv2d(1, 400, 1), nn.Flatten(), nn.Linear(400 * 16, 2))
        nn.init.ones_(net[0].bias)
        nn.init.zeros_(net[0].weight)
        model = TorchModel(net, "0", Pixels(4, 4), ("a", "b"))
        halves = [averaged_copies(model, 2)(torch.zeros(5, 1, 4, 4)).reshape(5, 400, 16) for _ in range(2)]
    seen = torch.cat(halves)
    assert (seen == seen[:, :, :1]).all()
    values, counts = seen[:, :, 0].round(decimals=3).unique(return_counts=True)
    assert torch.allclose(values, torch.tensor([0.0, 0.625, 1.25]))
    assert torch.allclose(counts / 4000, torch.tensor([0.04, 0.32, 0.64]), atol=0.03)


@pytest.mark.parametrize("repeat", [1, 3])
def test_poisons_take_an_image_to_their_class(repeat):
    train, held = pair()
    clean, hits = HEAD.fit(train, seed=0), 0
    for row in np.flatnonzero(held.y == 0)[:4]:
        attack = BullseyePolytope(held.x[row], 1, (HEAD,), count=25, eps=200, steps=60, repeat=repeat)
        poison = attack.poison(train, seed=0)
        moved = np.abs(poison.x.astype(int) - train.x[poison.index])
        assert (train.y[poison.index] == poison.y).all()
        assert (poison.y == 1).all()
        assert 0 < moved.max() <= 200
        assert poison.goal.success(clean, held).value == 0
        hits += poison.goal.success(HEAD.fit(poison.apply(train), seed=1), held).value
    assert hits >= 2


def test_spec_and_names():
    attack = BullseyePolytope(IMAGE, 1, (HEAD,), repeat=3)
    assert from_spec(json.loads(json.dumps(to_spec(attack)))) == attack
    assert attack != ConvexPolytope(IMAGE, 1, (HEAD,))
    found = entry("bullseye-polytope")
    assert (found.side, found.stage) == ("attacks", "data")
    assert "2005.00191" in found.paper


@pytest.mark.parametrize(
    ("fields", "word"), [({"repeat": 0}, "repeat"), ({"surrogates": ()}, "surrogates"), ({"eps": 0}, "eps")]
)
def test_impossible_fields(fields, word):
    with pytest.raises(ToadstoneError, match=word):
        BullseyePolytope(**{"image": IMAGE, "target": 1, "surrogates": (HEAD,), **fields})
