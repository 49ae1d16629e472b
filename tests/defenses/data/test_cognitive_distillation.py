from itertools import product

import numpy as np
import pytest
import torch

from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.data import load
from toadstone.defenses.data import cognitive_distillation
from toadstone.defenses.data.cognitive_distillation import CognitiveDistillation, distil, objective
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models import TorchModel
from toadstone.models.encode import Pixels
from toadstone.training import Fit


def slow_objective(change, mask, alpha, beta):
    h, w = mask.shape
    total = sum(abs(c) for c in change) / len(change)
    for i, j in product(range(h), range(w)):
        total += alpha * mask[i, j]
        if i + 1 < h:
            total += beta * (mask[i + 1, j] - mask[i, j]) ** 2 / (h * w)
        if j + 1 < w:
            total += beta * (mask[i, j + 1] - mask[i, j]) ** 2 / (h * w)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_the_objective_is_that_of_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    change, mask = rng.normal(size=(5, 3)), rng.random((5, 4, 6))
    found = objective(torch.from_numpy(change), torch.from_numpy(mask), 0.3, 7.0)
    slow = [slow_objective(c, m, 0.3, 7.0) for c, m in zip(change, mask, strict=True)]
    assert found.numpy() == pytest.approx(slow)


def linear(weight):
    return lambda x: x.flatten(1) @ torch.tensor(weight, dtype=torch.float32).T


@pytest.mark.parametrize("seed", range(4))
def test_a_pixel_that_decides_alone_is_all_that_is_kept(seed):
    """Without it a white pixel's logits change by |w|_1 / k (1 - d), half of that on average: it is worth its cost
    alpha when |w|_1 / 2k is more than that, and no other pixel is worth anything."""
    rng = np.random.default_rng(seed)
    weight, pixel = np.zeros((3, 20)), rng.integers(20)
    weight[:, pixel] = rng.normal(size=3)
    worth = np.abs(weight).sum() / 6
    x = torch.ones(2, 1, 4, 5)
    noise = torch.rand(150, 1, generator=torch.Generator().manual_seed(seed))
    for alpha, kept in ((worth / 5, 1.0), (worth * 3, 0.0)):
        found = distil(linear(weight), x, noise, alpha, 0.0).flatten(1).numpy()
        assert found[:, pixel] == pytest.approx([kept] * 2, abs=0.02)
        assert np.delete(found, pixel, 1).max() < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_the_mask_is_the_best_on_a_grid(seed):
    """Two pixels of which one decides: a smooth mask keeps some of its neighbour too."""
    rng = np.random.default_rng(seed)
    alpha, beta = rng.uniform(0.1, 0.2), rng.uniform(0.3, 0.5)
    noise = rng.random(2000)
    grid = np.linspace(0, 1, 101)
    cost = np.array(
        [
            [np.abs(2 * (1 - a) * (1 - noise)).mean() + alpha * (a + b) + beta * (a - b) ** 2 / 2 for b in grid]
            for a in grid
        ]
    )
    best = grid[list(np.unravel_index(cost.argmin(), cost.shape))]
    assert 0.3 < best[1] < 0.9
    colours = torch.tensor(noise[:300, None], dtype=torch.float32)
    found = distil(linear([[2.0, 0.0]]), torch.ones(1, 1, 1, 2), colours, alpha, beta)
    assert found.flatten().numpy() == pytest.approx(best, abs=0.1)


class Settled(torch.nn.Module):
    """Logits that follow all pixels, unless the first one is lit: then they are at their limit."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Identity()

    def forward(self, x):
        level = (x.mean((1, 2, 3)) + 5 * x[:, 0, 0, 0]).clamp(max=1)
        return 20 * self.level(torch.stack([level, -level], 1))


def black_and_white(rng, rows, lit):
    x = rng.integers(0, 2, (rows, 5, 5)).astype(np.uint8) * 255
    x[:, 0, 0] = np.where(np.arange(rows) < lit, 255, 0)
    return Data(x, np.arange(rows) % 2, ("a", "b"))


def test_finds_a_trigger_that_settles_all_logits_and_nothing_on_the_clean_twin():
    model, truth = TorchModel(Settled(), "level", Pixels(5, 5), ("a", "b")), np.arange(200) < 20
    found, wrong = 0, 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for planted in (True, False):
            data, clean = black_and_white(rng, 200, 20 * planted), black_and_white(rng, 200, 0)
            scores = judge(CognitiveDistillation(beta=0.0), model, data, clean=clean, seed=seed)
            flags = flag(scores, fdr=0.1).rows
            assert not planted or auroc(scores.values, truth) > 0.99
            found += flags[truth & planted].sum()
            wrong += flags[~(truth & planted)].sum()
    assert found == 100
    assert wrong <= 0.2 * found


def test_a_score_depends_on_the_row_and_the_seed_alone(monkeypatch):
    t, method = toy(), CognitiveDistillation(steps=8)
    some = judge(method, t.model, t.train.take(np.arange(50)), seed=3)
    assert some.pvalues is None
    both = judge(method, t.model, t.train.take(np.arange(100)), clean=t.train.take(np.arange(50)), seed=3)
    assert both.values[:50] == pytest.approx(some.values, abs=1e-3)
    assert both.trusted == 50
    other = judge(method, t.model, t.train.take(np.arange(50)), seed=4)
    assert not np.allclose(other.values, some.values, atol=1e-3)
    monkeypatch.setattr(cognitive_distillation, "_PIXELS", 7 * 64)
    assert judge(method, t.model, t.train.take(np.arange(50)), seed=3).values == pytest.approx(some.values, abs=1e-3)


def table():
    return Data(np.random.default_rng(0).normal(size=(20, 8)), np.arange(20) % 2, ("a", "b"))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (
            lambda: judge(CognitiveDistillation(), Fit().fit(table(), seed=0), table(), seed=0),
            "without gradients: a TorchModel",
        ),
        (
            lambda: judge(
                CognitiveDistillation(), toy().model, Data(np.zeros((9, 64)), np.arange(9), toy().train.classes), seed=0
            ),
            "must hold uint8 images, not float64 rows of shape",
        ),
        (
            lambda: judge(
                CognitiveDistillation(),
                toy().model,
                toy().train,
                clean=Data(np.zeros((2, 3, 3), np.uint8), np.arange(2), load("digits").classes),
                seed=0,
            ),
            "one kind",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
