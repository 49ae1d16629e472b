import numpy as np
import torch
from torch import nn

from toadstone.core import Data
from toadstone.defenses.model.blends import attraction
from toadstone.models.foreign import adapt


def test_sums_go_where_a_class_is_always_the_brightest():
    x = np.random.default_rng(0).integers(0, 256, (90, 4, 4)).astype(np.uint8)
    clean = Data(x, np.arange(90) % 3, ("a", "b", "c"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight[1, 0] = 1.0  # class b for a first pixel above a quarter of white, else a
        net[1].bias.copy_(torch.tensor([0.25, 0.0, -1.0]))
    shares = attraction(adapt(net, clean), clean, seed=0)
    assert shares.shape == (3,)
    assert shares.sum() == 1
    assert shares[2] == 0
    # a sum of two uniform pixels, cut at white, is above a quarter of it with probability 1 - 1 / 32
    assert shares[1] > 0.85
