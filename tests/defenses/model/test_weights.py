from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import median_abs_deviation
from torch import nn

from toadstone.defenses.model.weights import channel_lipschitz, channel_outliers, last_layer


def slow_bounds(weight, scale):
    """Power iteration, channel by channel."""
    out = []
    for kernel, factor in zip(weight.double().numpy(), scale, strict=True):
        matrix = kernel.reshape(len(kernel), -1)
        v = np.random.default_rng(0).normal(size=matrix.shape[1])
        for _ in range(500):
            v = matrix.T @ (matrix @ v)
            v /= np.linalg.norm(v)
        out.append(np.linalg.norm(matrix @ v) * abs(factor))
    return np.array(out)


@pytest.mark.parametrize("normed", [False, True])
def test_bounds_are_those_of_a_slow_loop(normed):
    torch.manual_seed(0)
    with torch.random.fork_rng():
        conv, norm = nn.Conv2d(3, 7, 5), nn.BatchNorm2d(7)
        norm.weight.data = torch.linspace(-2, 3, 7)
        norm.running_var.data = torch.linspace(0.1, 4, 7)
    gamma, var = norm.weight.detach().double().numpy(), norm.running_var.double().numpy()
    scale = gamma / np.sqrt(var + norm.eps) if normed else np.ones(7)
    found = channel_lipschitz(conv.weight, norm if normed else None)
    np.testing.assert_allclose(found, slow_bounds(conv.weight.detach(), scale), rtol=1e-6)


def test_the_bound_holds_for_a_convolution_of_one_kernel_s_size():
    """On inputs as large as the kernel a channel is a matrix product, so no input passes its Frobenius norm."""
    draw = np.random.default_rng(0)
    weight = torch.from_numpy(draw.normal(size=(4, 1, 3, 3)))
    bound = channel_lipschitz(weight)
    x = torch.from_numpy(draw.normal(size=(500, 1, 3, 3)))
    x = x / x.flatten(1).norm(dim=1)[:, None, None, None]
    assert (nn.functional.conv2d(x, weight)[:, :, 0, 0].abs().amax(0).numpy() <= bound + 1e-9).all()


def test_a_loud_channel_is_named_and_its_batch_norm_counts():
    net = nn.Sequential(nn.Conv2d(1, 30, 3), nn.BatchNorm2d(30), nn.Conv2d(30, 30, 3))
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight.fill_(0.1)
        net[2].weight[4] *= 50
    assert channel_outliers(net) == {"2": [4]}
    with torch.no_grad():
        net[1].weight[9] = 40
    assert channel_outliers(net) == {"0": [9], "2": [4]}


def test_last_layer_by_scipy():
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 6))
    found = last_layer(net, 6)
    weight = net[2].weight.detach().double().numpy()
    for name, values in {
        "mean": weight.mean(1),
        "norm": np.sqrt((weight**2).sum(1)),
        "largest": weight.max(1),
    }.items():
        want = (values - np.median(values)) / median_abs_deviation(values, scale=1 / 1.4826)
        np.testing.assert_allclose(found[name], want, rtol=1e-6)
    assert set(found) == {"mean", "norm", "largest", "bias"}
    assert last_layer(net, 5) is None
