from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from corrupted_digits import mislabelled, patched_and_twin
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses.data.meta_sift import MetaSift, Weigh, shares, sifting_loss
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import MLP, SmallCNN
from toadstone.training import Adam, Fit, Train

QUICK = Train(MLP((16,)), epochs=2)


def by_hand(psi, theta, batch, step, frozen=None):
    """The objective in numpy, for a linear net, with its own gradient; ``frozen`` are the losses that are weighed."""
    x, y = batch

    def rows(theta):
        z = x @ theta.T
        return np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]

    def weight(loss):
        h = np.maximum(np.outer(loss, psi[0][:, 0]) + psi[1], 0)
        h = np.maximum(h @ psi[2].T + psi[3], 0)
        return 1 / (1 + np.exp(-(h @ psi[4].T + psi[5])[:, 0]))

    w = weight(rows(theta))
    p = np.exp(x @ theta.T)
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    after = rows(theta - step * (p * (w / w.sum())[:, None]).T @ x)
    u = 1 - weight(after if frozen is None else frozen)
    return -(u / u.sum() * after).sum(), after


@pytest.mark.parametrize("step", [1e-4, 0.1, 3.0])
def test_the_meta_gradient_is_that_of_finite_differences(step):
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    x, y, theta = rng.normal(size=(12, 4)), rng.integers(0, 3, 12), rng.normal(size=(3, 4))
    net = nn.Linear(4, 3, bias=False).double()
    net.weight.data = torch.tensor(theta)
    weigh = Weigh().double()
    for p in weigh.parameters():  # the output layer starts at 0
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64) / 5
    batch = torch.tensor(x), torch.tensor(y)
    before = cross_entropy(net(batch[0]), batch[1], reduction="none")
    outer = sifting_loss(weigh, net, batch, before, step)
    slopes = [g.numpy() for g in torch.autograd.grad(outer, list(weigh.parameters()))]
    psi = [p.detach().numpy() for p in weigh.parameters()]
    value, after = by_hand(psi, theta, (x, y), step)
    assert outer.item() == pytest.approx(value)
    for _ in range(5):
        way = [rng.normal(size=p.shape) for p in psi]
        high, low = (
            by_hand([p + h * d for p, d in zip(psi, way, strict=True)], theta, (x, y), step, after)[0]
            for h in (1e-6, -1e-6)
        )
        found = sum((g * d).sum() for g, d in zip(slopes, way, strict=True))
        assert found == pytest.approx((high - low) / 2e-6, rel=1e-4, abs=1e-8)


def test_the_virtual_step_leaves_no_trace():
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    x, y = torch.ones(6, 4) * torch.arange(6)[:, None], torch.arange(6) % 3
    before = cross_entropy(net(x), y, reduction="none")
    kept = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    sifting_loss(Weigh(), net, (x, y), before, 0.1)
    assert all((tensor == kept[name]).all() for name, tensor in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_every_row_weighs_the_same_at_the_start():
    weights = Weigh()(torch.tensor([0.0, 1.0, 50.0]))
    assert weights.tolist() == [0.5] * 3
    assert shares(weights).tolist() == pytest.approx([1 / 3] * 3)


def test_finds_a_trigger_before_it_is_learnt_and_nothing_on_the_clean_twin():
    trainer = Train(SmallCNN(8, 64), epochs=2, optimizer=Adam(3e-3), batch_size=32)
    for seed in range(3):
        for data, clean, truth, planted in patched_and_twin(seed, 0.05):
            scores = judge(MetaSift(trainer, sifters=1), toy().model, data, clean=clean, seed=seed)
            rows = flag(scores, fdr=0.1).rows
            if planted:
                assert auroc(scores.values, truth) > 0.85
            assert rows[~(truth & planted)].sum() <= 0.4 * max(rows.sum(), 25)


def test_finds_wrong_labels():
    trainer = Train(MLP((64,)), epochs=2, optimizer=Adam(3e-3), batch_size=32)
    for seed in range(3):
        parts = split(load("digits"), test=100, clean=100, seed=seed)
        noisy, wrong = mislabelled(parts.train, 0.05, seed)
        assert auroc(judge(MetaSift(trainer, sifters=2), toy().model, noisy, seed=seed).values, wrong) > 0.97


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (lambda: MetaSift(Fit()), "must be a Train"),
        (lambda: MetaSift(replace(QUICK, flip=True)), "flip"),
        (lambda: MetaSift(replace(QUICK, epochs=1)), "first is plain"),
        (lambda: MetaSift(QUICK, sifters=0), "sifters"),
        (lambda: MetaSift(QUICK, v_lr=0.0), "v_lr"),
        (lambda: MetaSift(QUICK, meta_lr=-1.0), "meta_lr"),
        (lambda: _score(Data(np.zeros((4, 2)), np.arange(4) % 2, ("a", "b"))), "image"),
        (lambda: _score(toy().train, replace(toy().held, classes=tuple("abcdefghij"))), "same classes"),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()


def _score(data, clean=None):
    return judge(MetaSift(QUICK), toy().model, data, clean=clean, seed=0)
