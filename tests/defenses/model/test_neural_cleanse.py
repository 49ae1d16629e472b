from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import median_abs_deviation
from torch import nn

from toadstone import ToadstoneError
from toadstone.core import Data
from toadstone.defenses.model.neural_cleanse import NeuralCleanse, anomaly_index, index_pvalues
from toadstone.models import SklearnModel, TorchModel
from toadstone.models.encode import Columns, Pixels
from toadstone.whitebox import reverse as search
from toadstone.whitebox.reverse import reverse

SIDE, K, TARGET, PIXEL = 8, 8, 3, (6, 5)
CLASSES = tuple(map(str, range(K)))


def images(n=200, channels=0, seed=0):
    """Row c of the image is bright where the class is c; the rest is dim."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % K
    x = draw.integers(0, 60, (n, SIDE, SIDE))
    x[np.arange(n), y] += 120
    x[:, PIXEL[0], PIXEL[1]] = 0
    x = x.astype(np.uint8)
    return Data(np.stack([x] * channels, 3) if channels else x, y, CLASSES)


def planted(strength, channels=1, seed=0):
    """Logit c is the light in row c; one pixel (not read otherwise) adds ``strength`` to the target's."""
    weight = np.zeros((K, channels, SIDE, SIDE), np.float32)
    for c in range(K):
        weight[c, :, c] = 8 / SIDE / channels * np.random.default_rng([seed, c]).uniform(0.5, 1.5)
    weight[:, :, PIXEL[0], PIXEL[1]] = 0
    weight[TARGET, :, PIXEL[0], PIXEL[1]] = strength / channels
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(weight[0].size, K))
    with torch.no_grad():
        net[2].weight.copy_(torch.from_numpy(weight.reshape(K, -1)))
        net[2].bias.zero_()
    return TorchModel(net, "2", Pixels(SIDE, SIDE, channels), CLASSES)


def success(model, data, target, mask, pattern):
    mask = mask if data.x.ndim == 3 else mask[..., None]
    stamped = np.rint((1 - mask) * data.x + mask * pattern).astype(np.uint8)
    return (model.logits(stamped).argmax(1) == target).mean()


def single_pixels(model, data):
    """Brute force: every (class, pixel) where that pixel alone, black or white, sends 99% of the rows over."""
    found = set()
    for at in np.ndindex(SIDE, SIDE):
        for value in (0, 255):
            x = data.x.copy()
            x[:, *at] = value
            shares = np.bincount(model.logits(x).argmax(1), minlength=K) / len(x)
            found |= {(int(c), at) for c in np.flatnonzero(shares >= 0.99)}
    return found


@pytest.mark.parametrize("channels", [0, 3])
def test_finds_the_planted_pixel_that_brute_force_finds(channels):
    clean, model = images(channels=channels), planted(40.0, channels or 1)
    assert single_pixels(model, clean) == {(TARGET, PIXEL)}
    for seed in range(3):
        evidence = NeuralCleanse().inspect(model, clean, seed=seed)
        assert evidence.flagged(0.05) == [TARGET]
        trigger = evidence.found[TARGET]
        assert np.unravel_index(trigger.mask.argmax(), trigger.mask.shape) == PIXEL
        assert trigger.mask[PIXEL] > 0.5 * trigger.norm
        assert (trigger.pattern[PIXEL] > 200).all()
        assert trigger.pattern.shape == clean.x.shape[1:]
        assert trigger.norm == pytest.approx(trigger.mask.sum())
        for target, each in enumerate(evidence.found):
            assert success(model, clean, target, each.mask, each.pattern) > 0.75


def test_norm_is_near_the_closed_form():
    """The pixel alone must outweigh the brightest other row, so its mask is worth (that margin) / strength."""
    clean, model = images(), planted(40.0)
    z = model.logits(clean.x)
    margin = np.quantile(z.max(1) - z[:, TARGET], 0.99)
    norm = NeuralCleanse().inspect(model, clean, seed=0).found[TARGET].norm
    assert 0.7 * margin / 40 < norm < 2 * margin / 40


def test_clean_twin_is_not_accused():
    alarms = [NeuralCleanse().inspect(planted(0.0, seed=s), images(seed=s), seed=s).flagged(0.05) for s in range(6)]
    assert sum(bool(a) for a in alarms) <= 1


def test_classes_do_not_influence_each_other(monkeypatch):
    clean, model, kind = images(), planted(40.0), NeuralCleanse(steps=100).kind()
    every = reverse(model, clean, np.arange(K), kind, seed=1)
    for c in (0, TARGET, 6):
        alone = reverse(model, clean, np.array([c]), kind, seed=1)
        np.testing.assert_allclose(alone.mask[0], every.mask[c], atol=1e-3)
        assert np.abs(alone.pattern[0].astype(int) - every.pattern[c]).max() <= 1
        assert alone.reached[0] == every.reached[c]
    monkeypatch.setattr(search, "_VALUES", 3 * 4 * SIDE * SIDE)  # three classes a forward pass
    chunked = reverse(model, clean, np.arange(K), kind, seed=1)
    np.testing.assert_allclose(chunked.mask, every.mask, atol=1e-3)


def test_same_seed_same_evidence_and_no_global_draws():
    clean, model, method = images(), planted(40.0), NeuralCleanse(steps=40)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    a, b, other = (method.inspect(model, clean, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(a.values, b.values)
    assert not np.array_equal(a.values, other.values)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_model_and_rows_are_left_as_they_were():
    clean, model = images(), planted(40.0)
    model.net.train()
    model.net[1].eval()
    model.net[2].bias.requires_grad_(False)
    rows, weights = clean.x.copy(), {k: v.clone() for k, v in model.net.state_dict().items()}
    NeuralCleanse(steps=40).inspect(model, clean, seed=0)
    assert all(torch.equal(v, weights[k]) for k, v in model.net.state_dict().items())
    assert [p.requires_grad for p in model.net[2].parameters()] == [True, False]
    assert all(p.grad is None for p in model.net.parameters())
    assert [m.training for m in model.net] == [True, False, True]
    np.testing.assert_array_equal(clean.x, rows)


def test_a_class_out_of_reach_is_never_accused():
    model = planted(40.0)
    with torch.no_grad():
        model.net[2].bias[5] = -1e4
    evidence = NeuralCleanse(steps=100).inspect(model, images(), seed=0)
    assert [f is None for f in evidence.found] == [c == 5 for c in range(K)]
    assert evidence.pvalues[5] == 1


@pytest.mark.parametrize("k", [3, 4, 10, 43])
def test_index_is_the_mad_rule(k):
    values = np.random.default_rng(k).lognormal(size=k)
    mad = median_abs_deviation(values, scale=1 / 1.4826)
    np.testing.assert_allclose(anomaly_index(values), -(values - np.median(values)) / mad)


def test_index_where_most_values_are_equal():
    np.testing.assert_array_equal(anomaly_index(np.array([2.0, 2.0, 2.0, 1.0, 3.0])), [0, 0, 0, np.inf, -np.inf])
    assert index_pvalues(np.array([0.0, 0.0, 0.0, np.inf, -np.inf])).argmin() == 3


@pytest.mark.parametrize("k", [4, 10])
def test_pvalues_are_the_share_of_simulated_maxima(k):
    draw, maxima = np.random.default_rng(99), []
    for _ in range(4000):
        z = draw.normal(3.0, 0.2, k)
        maxima.append(max((np.median(z) - z) / median_abs_deviation(z, scale=1 / 1.4826)))
    levels = np.quantile(maxima, np.linspace(0.05, 0.98, k))
    brute = [np.mean(np.array(maxima) >= level) for level in levels]
    np.testing.assert_allclose(index_pvalues(levels), brute, atol=0.03)  # four standard errors of 4,000 draws


@pytest.mark.parametrize("k", [3, 10, 43])
def test_family_wise_level_and_its_agreement_with_the_rule_of_two(k):
    draw = np.random.default_rng(7)
    indices = [anomaly_index(draw.standard_normal(k)) for _ in range(3000)]
    accused = [index[index_pvalues(index) <= 0.05] for index in indices]
    assert 0.05 - 0.018 < np.mean([len(a) > 0 for a in accused]) < 0.05 + 0.018  # both simulations' errors, 4 sigma
    assert min(np.concatenate(accused)) > 2


def test_pvalue_falls_with_the_index():
    index = np.array([-5.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 9.0])
    p = index_pvalues(index)
    assert (np.diff(p) <= 0).all()
    assert p[0] == 1
    assert 0 < p[-1] < 0.02


def test_bad_input_is_turned_away():
    clean, model = images(), planted(40.0)
    few = TorchModel(model.net, "2", model.encode, ("a", "b"))
    columns = TorchModel(nn.Sequential(nn.Linear(4, 3)), "0", Columns((0.0,) * 4, (1.0,) * 4), ("a", "b", "c"))
    table = Data(np.zeros((30, 4)), np.arange(30) % 3, ("a", "b", "c"))

    class Fitted:
        classes_ = np.arange(K)

        def predict_proba(self, x):
            return np.full((len(x), K), 1 / K)

    floats = Data(clean.x / 255, clean.y, CLASSES)
    wide = Data(np.zeros((30, 9, 9), np.uint8), np.arange(30) % K, CLASSES)
    for bad_model, bad_clean, words in [
        (SklearnModel(Fitted(), CLASSES), clean, "TorchModel"),
        (columns, table, "images"),
        (model, floats, "uint8"),
        (few, Data(clean.x, clean.y % 2, ("a", "b")), "3 or more"),
        (model, Data(clean.x, clean.y % 4, CLASSES[:4]), "the same ones"),
        (model, clean.take(np.arange(19)), "20 or more"),
        (model, wide, "the model takes"),
    ]:
        with pytest.raises(ToadstoneError, match=words):
            NeuralCleanse().inspect(bad_model, bad_clean, seed=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 19},
        {"patience": 0},
        {"lr": 0.0},
        {"init_cost": -1.0},
        {"cost_multiplier": 1.0},
        {"attack_threshold": 1.0},
    ],
)
def test_bad_settings_are_turned_away(settings):
    with pytest.raises(ToadstoneError):
        NeuralCleanse(**settings)
