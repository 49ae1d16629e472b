from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from toadstone.errors import ToadstoneError
from toadstone.training.loop import Descent


def single_weight(start=2.0):
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(start)
    return net


def test_two_runs_are_one_by_hand():
    """On w^2 from 2: w' = w - lr_t 2 w, lr_t on half a cosine over five steps, however they are cut into runs."""
    w, losses = 2.0, []
    for step in range(5):
        losses.append(w**2)
        w -= 0.3 * (1 + np.cos(np.pi * step / 5)) / 2 * 2 * w
    for cuts in ([5], [2, 3], [1, 1, 3]):
        net, found, calls = single_weight(), [], []
        descent = Descent(net, torch.optim.SGD(net.parameters(), 0.3), 5)
        for steps in cuts:
            modes = []

            def loss(batch, net=net, modes=modes):
                modes.append(net.training)
                return net.weight.square().sum() * len(batch)

            found += descent.run(
                loss, [np.arange(1)] * steps, lambda calls=calls, net=net: calls.append(net.weight.item())
            )
            assert all(modes)
            assert not net.training
        assert net.weight.item() == pytest.approx(w, rel=1e-5)
        assert found == pytest.approx(losses, rel=1e-5)
        assert len(calls) == 5
        assert calls[-1] == net.weight.item()


@pytest.mark.parametrize(("epoch", "words"), [(0, "in step 4"), (2, "in epoch 2")])
def test_a_divergence_is_dated(epoch, words):
    net, left = single_weight(), [1.0, 1.0, 1.0, float("inf")]
    descent = Descent(net, torch.optim.SGD(net.parameters(), 0.0), 9, epoch)
    with pytest.raises(ToadstoneError, match=f"training diverged {words} .the loss is inf.: lower lr"):
        descent.run(lambda _: net.weight.sum() * left.pop(0), [np.arange(1)] * 9)
