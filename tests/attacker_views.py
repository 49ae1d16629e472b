"""Rounds made by hand, for the tests of federated attacks."""

import numpy as np

from toadstone.checks.federated import SoftmaxClients
from toadstone.core import Data
from toadstone.federated.views import AttackerView


def honest(h=12, d=30, seed=0, shift=0.5):
    """Updates around a common mean, that cannot be written to."""
    draw = np.random.default_rng(seed)
    rows = (draw.normal(size=(h, d)) * draw.uniform(0.5, 2, d) + shift * draw.normal(size=d)).astype(np.float32)
    rows.flags.writeable = False
    return rows


def seen(benign, f=3, seed=0, rule=None, own=None):
    """What f attackers see who are shown ``benign`` and ``rule``."""
    own = honest(f, benign.shape[1], seed=99) if own is None else own
    data = tuple(Data(np.zeros((2, 8, 8), np.uint8), np.arange(2), ("a", "b")) for _ in range(f))
    start = np.zeros(benign.shape[1], np.float32)
    total = len(benign) + len(own)
    return AttackerView(0, seed, start, None, data, own, total, float(total), SoftmaxClients(), benign, rule)
