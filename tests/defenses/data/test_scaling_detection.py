import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from toadstone.core import Data
from toadstone.defenses.data.scaling_detection import (
    ScalingDetection,
    filter_scores,
    prevention_scores,
    scaling_scores,
    spectrum_scores,
)
from toadstone.defenses.inference.scaling_filter import ScalingFilter
from toadstone.errors import ToadstoneError
from toadstone.evaluation.cost import ssim
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.registry import entry
from toadstone.triggers import Patch
from toadstone.triggers.camouflage import hide
from toadstone.triggers.scalers import Scaler

METHODS = ("prevention", "scaling", "filter", "spectrum")
SCALERS = [Scaler("pillow", "nearest"), Scaler("torch", "bilinear")]
each_scaler = pytest.mark.parametrize("scaler", SCALERS, ids=str)


class Nothing:
    """A model that must not be asked."""

    classes = ("a", "b")

    def probs(self, x):
        raise AssertionError


@pytest.fixture(scope="module")
def photos():
    """128 x 128 pieces of two photographs."""
    images = [image.mean(2).astype(np.uint8) for image in load_sample_images().images]
    return np.stack([i[a : a + 128, b : b + 128] for i in images for a in (0, 140, 290) for b in range(0, 512, 64)])


def data(x):
    return Data(x, np.arange(len(x)) % 2, ("a", "b"))


@pytest.mark.parametrize("shape", [(3, 16, 24), (2, 16, 24, 3)])
def test_prevention_scaling_and_filter_pixel_by_pixel(shape):
    x, scaler = np.random.default_rng(0).integers(0, 256, shape, np.uint8), Scaler("torch", "bilinear", 4, 6)
    got = prevention_scores(x, scaler), scaling_scores(x, scaler), filter_scores(x)
    small, mended = scaler(x).astype(int), scaler(ScalingFilter(scaler).purify(x, seed=5)).astype(int)
    back, low = Scaler("torch", "bilinear", 16, 24)(scaler(x)), x.copy()
    for n in range(len(x)):
        gap, means = np.abs(small[n] - mended[n]), []
        for c in np.ndindex(shape[3:]):
            wide = np.pad(gap[..., *c], 1, "symmetric")
            means += [wide[i : i + 3, j : j + 3].mean() for i in range(4) for j in range(6)]
            for i, j in np.ndindex(16, 24):
                low[n, i, j, *c] = x[n, max(0, i - 1) : i + 1, max(0, j - 1) : j + 1, ..., *c].min()
        assert got[0][n] == pytest.approx(max(means))
        assert got[1][n] == pytest.approx(
            np.mean([(int(back[n][s]) - int(x[n][s])) ** 2 for s in np.ndindex(shape[1:])])
        )
    assert np.allclose(got[2], 1 - ssim(x, low))


def test_the_spectrum_from_the_transform_s_definition():
    x, (h, w), (a, b) = np.random.default_rng(0).integers(0, 256, (2, 12, 18), np.uint8), (12, 18), (4, 6)
    i, j = np.arange(h), np.arange(w)
    for n in range(2):
        power = np.zeros((h, w))
        for u, v in np.ndindex(h, w):
            wave = np.exp(-2j * np.pi * (u * i[:, None] / h + v * j / w))
            power[u, v] = np.log(1 + abs((x[n] * wave).sum()))
        rises = []
        for u in (4, 8):
            for v in (6, 12):
                core = [power[(u + p) % h, (v + q) % w] for p in range(-1, 2) for q in range(-1, 2)]
                around = [power[(u + p) % h, (v + q) % w] for p in range(-4, 5) for q in range(-4, 5)]
                rises.append(max(core) - np.median(around))
        assert spectrum_scores(x, (a, b))[n] == pytest.approx(np.mean(rises))
    colour = np.stack([x, x, x], 3)
    assert np.allclose(spectrum_scores(colour, (a, b)), spectrum_scores(x, (a, b)))


def test_dots_on_the_grid_rise_from_the_spectrum_and_dots_elsewhere_do_not():
    rng = np.random.default_rng(0)
    x = np.tile(rng.normal(128, 10, (1, 64, 64)), (3, 1, 1))
    x[1, ::4, ::4] += 40
    x[2, rng.integers(0, 64, 256), rng.integers(0, 64, 256)] += 40
    plain, grid, scattered = spectrum_scores(np.clip(x, 0, 255).astype(np.uint8), (16, 16))
    assert grid > plain + 1
    assert scattered < plain + 0.3


@each_scaler
@pytest.mark.parametrize("method", METHODS)
def test_a_hidden_picture_is_told_from_photographs(scaler, method, photos):
    wolf = scaler(photos)[::-1].copy()
    x = np.concatenate([photos, hide(photos, wolf, scaler)])
    truth = np.arange(len(x)) >= len(photos)
    scores = judge(ScalingDetection(scaler, method), Nothing(), data(x), clean=data(photos), seed=0)
    assert auroc(scores.values, truth) > (0.95 if method == "filter" else 0.99)
    assert (scores.pvalues[~truth] > 1 / (len(photos) + 1)).all()
    assert scores.trusted == len(photos)


@each_scaler
def test_of_a_hidden_trigger_prevention_alone_tells(scaler, photos):
    wolf = Patch(size=4)(scaler(photos), seed=0)
    x = np.concatenate([photos, hide(photos, wolf, scaler)])
    truth = np.arange(len(x)) >= len(photos)
    found = {m: auroc(judge(ScalingDetection(scaler, m), Nothing(), data(x), seed=0).values, truth) for m in METHODS}
    assert found["prevention"] > 0.85
    assert max(found[m] for m in METHODS[1:]) < 0.8


def test_name():
    assert entry("scaling-detection").cls is ScalingDetection
    assert "2010.03735" in entry("scaling-detection").paper


def test_errors(photos):
    small, scaler = np.zeros((4, 8, 8), np.uint8), Scaler(height=4, width=4)
    with pytest.raises(ToadstoneError, match="use one of prevention"):
        ScalingDetection(scaler, "histogram")
    with pytest.raises(ToadstoneError, match="rows of one kind"):
        judge(ScalingDetection(scaler), Nothing(), data(small), clean=data(photos), seed=0)
    with pytest.raises(ToadstoneError, match="smaller than"):
        judge(ScalingDetection(Scaler(), "scaling"), Nothing(), data(small), seed=0)
    with pytest.raises(ToadstoneError, match="ratios of 2"):
        judge(ScalingDetection(Scaler(height=5, width=4), "spectrum"), Nothing(), data(small), seed=0)
    with pytest.raises(ToadstoneError, match="uint8"):
        judge(ScalingDetection(scaler), Nothing(), data(small.astype(float)), seed=0)
    with pytest.raises(ToadstoneError, match="regression"):
        judge(ScalingDetection(scaler), Nothing(), Data(small, np.zeros(4), ()), seed=0)
