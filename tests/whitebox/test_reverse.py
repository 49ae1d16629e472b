from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.core import Data
from toadstone.models import TorchModel
from toadstone.models.encode import Pixels
from toadstone.whitebox.reverse import Mask, Rectangle, Shift, reverse

SIDE, STRENGTH = 6, 20.0


def linear(n=40):
    """Two classes; one pixel, dark in every row, adds STRENGTH to the second, which is 4 below the first otherwise."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 255, (n, SIDE, SIDE), np.uint8)
    x[:, 4, 2] = 0
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight[1, 4 * SIDE + 2] = STRENGTH
        net[1].bias.copy_(torch.tensor([4.0, 0.0]))
    return TorchModel(net, "1", Pixels(SIDE, SIDE), ("a", "b")), Data(x, np.arange(n) % 2, ("a", "b"))


@pytest.mark.parametrize("kind", [Mask(), Rectangle(), Shift()])
def test_the_smallest_trigger_of_a_linear_net_has_a_closed_form(kind):
    """The one pixel must rise by 4 / STRENGTH of white: that is the mask's sum, and the shift's norm."""
    model, clean = linear()
    found = reverse(model, clean, np.array([1]), kind, seed=0)
    assert found.reached[0]
    assert 4 / STRENGTH <= found.size[0] < 1.6 * 4 / STRENGTH
    assert (model.logits(found.stamp(0, clean.x)).argmax(1) == 1).mean() >= kind.reach


def test_a_settled_class_stops_early_and_its_trigger_is_hardly_larger():
    model, clean = linear()
    steps = []
    model.net.register_forward_hook(lambda *_: steps.append(1))
    whole = reverse(model, clean, np.array([1]), Mask(steps=600), seed=0)
    assert len(steps) == 600
    steps.clear()
    short = reverse(model, clean, np.array([1]), Mask(steps=600, patience=3), seed=0)
    assert len(steps) < 600
    assert whole.size[0] <= short.size[0] < 1.5 * whole.size[0]


def test_a_class_out_of_reach_has_the_size_of_the_image():
    model, clean = linear()
    with torch.no_grad():
        model.net[1].bias[1] = -1e4
    for kind, size in ((Mask(), SIDE * SIDE), (Shift(), SIDE)):
        found = reverse(model, clean, np.array([1]), replace(kind, steps=40), seed=0)
        assert not found.reached[0]
        assert found.size[0] == size
