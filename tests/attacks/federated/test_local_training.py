from dataclasses import replace

import numpy as np
import pytest
import torch

from softmax_regression import round_from, trained
from toadstone.attacks.federated.local_training import (
    Descent,
    check_attack,
    distance,
    net_at,
    parameters,
    pooled,
    scaled,
    shortening,
)
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.federated.clients import LocalTraining
from toadstone.models.encode import Pixels
from toadstone.models.nets import PreActResNet
from toadstone.rng import torch_seed

VIEW = round_from()


def test_one_step_is_the_gradient():
    data = VIEW.data[0].take(np.arange(20))
    expected = trained(VIEW.weights, data, (1, 0.5, 3))
    assert np.allclose(Descent(1, 0.5)(VIEW, data, seed=3), expected, atol=1e-6)
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("radius", [None, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_by_a_slow_loop(radius, masked):
    mask = np.random.default_rng(1).random(650) < 0.4 if masked else None

    def change(w, g):
        return np.where(mask, g, 0) if masked else g

    found = Descent(4, 0.3, radius)(VIEW, VIEW.data[1], seed=5, mask=mask)
    expected = trained(VIEW.weights, VIEW.data[1], (4, 0.3, 5), change, radius)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=2e-6)
    if radius:
        assert np.linalg.norm(found) == pytest.approx(radius, rel=1e-4)
        assert not np.allclose(found, trained(VIEW.weights, VIEW.data[1], (4, 0.3, 5), change), atol=1e-3)


def test_projected_after_each_epoch_and_not_only_at_the_end():
    each = Descent(4, 0.3, 0.3)(VIEW, VIEW.data[1], seed=5)
    once = Descent(4, 0.3)(VIEW, VIEW.data[1], seed=5)
    assert not np.allclose(each, once * 0.3 / np.linalg.norm(once), atol=1e-3)


def test_running_statistics_stay_as_they_are_off_the_mask():
    design = PreActResNet(4, (1,))
    local = LocalTraining(design, Pixels(8, 8), 10)
    with torch_seed(0):
        start = local.flat(design.build((1, 8, 8), 10))
    view = replace(VIEW, local=local, weights=start, own=np.zeros((5, len(start)), np.float32))
    mask = np.random.default_rng(0).random(len(start)) < 0.5
    found = Descent(2, 0.05)(view, toy().train.take(np.arange(40)), seed=0, mask=mask)
    assert not found[~mask].any()
    assert (found[mask] != 0).mean() > 0.5


def test_the_distance_s_gradient_by_finite_differences():
    anchor = np.random.default_rng(2).normal(size=650).astype(np.float32)
    net = net_at(VIEW, VIEW.weights).double()
    away = [part.double() for part in parameters(VIEW, anchor)]
    length = distance(net, away)
    assert length.item() == pytest.approx(np.linalg.norm(VIEW.weights.astype(float) - anchor), rel=1e-6)
    (slope,) = torch.autograd.grad(length, list(net.parameters()))
    weight = next(net.parameters())
    for at in ((0, 0), (4, 17), (9, 64)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[at] += sign * 1e-4
                ends.append(distance(net, away).item())
                weight[at] -= sign * 1e-4
        assert slope[at].item() == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-5)


def test_scaled_rows_sum_to_gamma_times_the_update_unless_that_is_too_long():
    update = np.arange(650, dtype=np.float32)
    assert np.allclose(scaled(update, VIEW, None).sum(0), VIEW.gamma * update)
    assert np.allclose(scaled(update, VIEW, 7.0).sum(0), 7 * update)
    short = scaled(update, VIEW, 7.0, 2.5)
    assert short.shape == (5, 650)
    assert np.allclose(np.linalg.norm(short, axis=1), 2.5)
    assert np.allclose(short[0] / 2.5, update / np.linalg.norm(update), atol=1e-6)
    assert np.array_equal(scaled(update, VIEW, 7.0, 1e9), scaled(update, VIEW, 7.0))
    assert shortening(np.zeros(3, np.float32), 1.0) == 1


def test_pooled_rows_keep_their_columns():
    parts = [Data(np.full((2, 3), i), np.array([0, i]), ("a", "b"), {"k": np.full(2, i)}) for i in range(2)]
    assert pooled(parts).x.tolist() == [[0] * 3] * 2 + [[1] * 3] * 2
    assert pooled(parts).y.tolist() == [0, 0, 0, 1]
    assert pooled(parts).meta["k"].tolist() == [0, 0, 1, 1]
    assert not pooled([parts[0], replace(parts[1], meta={})]).meta


def test_errors():
    with pytest.raises(ToadstoneError, match="epochs must be at least 1, not 0"):
        Descent(0, 0.1)
    for value in (0, float("nan"), float("inf")):
        with pytest.raises(ToadstoneError, match="lr must be a finite number above 0"):
            Descent(1, value)
        with pytest.raises(ToadstoneError, match="radius must be a finite number above 0"):
            Descent(1, 0.1, value)
    with pytest.raises(ToadstoneError, match="The attacker's training diverged: lower the attack's lr"):
        Descent(3, 1e38)(VIEW, VIEW.data[0], seed=0)


@pytest.mark.parametrize("wrong", [3, None, "no", lambda train, seed: None])
def test_what_is_not_an_attack_on_rows_is_refused(wrong):
    with pytest.raises(ToadstoneError, match=r"attack must be one on a training set such as Backdoor\(...\), not "):
        check_attack(wrong)
