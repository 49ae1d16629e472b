from __future__ import annotations

import pytest
import torch
from torch import nn

from toadstone.models import MLP, BagOfEmbeddings, Logistic, PreActResNet, SmallCNN, TextCNN
from toadstone.models.layers import before_last_linear, last_linear, linear_layers

IMAGE, TEXT = (1, 8, 8), (50,)
NETS = [
    (Logistic(), IMAGE),
    (MLP((5, 6)), IMAGE),
    (SmallCNN(2, 4), IMAGE),
    (PreActResNet(width=2), IMAGE),
    (BagOfEmbeddings(4), TEXT),
    (TextCNN(), TEXT),
]


@pytest.mark.parametrize(("design", "shape"), NETS, ids=lambda value: type(value).__name__)
def test_the_last_linear_layer_gives_the_logits(design, shape):
    """The oracle runs the net: which linear layer's output is the net's."""
    net, seen = design.build(shape, 3).eval(), {}
    for name, part in net.named_modules():
        if isinstance(part, nn.Linear):
            part.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    x = torch.rand(2, *shape) if shape == IMAGE else torch.randint(0, 50, (2, 12))
    logits = net(x)
    name, layer = last_linear(net)
    assert torch.equal(seen[name], logits)
    assert layer is net.get_submodule(name)
    assert set(linear_layers(net)) == set(seen)
    assert last_linear(net, outputs=3)[0] == name
    assert last_linear(net, outputs=99) is None


def test_nets_without_one_and_bare_ones():
    assert last_linear(nn.Sequential(nn.Conv2d(1, 1, 1))) is None
    assert before_last_linear(nn.Sequential(nn.Conv2d(1, 1, 1)), ["0"]) is None
    bare = nn.Linear(2, 3)
    assert last_linear(bare) == ("", bare)


def test_the_layer_before_follows_the_given_order():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert before_last_linear(net, ["0", "1", "2"]) == "1"
    assert before_last_linear(net, ["1", "0"]) == "1"
    assert before_last_linear(net, ["0", "1"]) == "0"
