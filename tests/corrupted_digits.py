"""Digits with something wrong about them, as several tests of detectors need them."""

import numpy as np

from toadstone.attacks import Backdoor
from toadstone.core import Data
from toadstone.data import load, split
from toadstone.triggers import Patch


def mislabelled(train, rate, seed):
    """``train`` with a share of its labels wrong, drawn uniformly, and the mask of those rows."""
    draw = np.random.default_rng(seed)
    wrong = draw.random(len(train)) < rate
    y = np.where(wrong, (train.y + draw.integers(1, 10, len(wrong))) % 10, train.y)
    return Data(train.x, y, train.classes), wrong


def patched_and_twin(seed, rate, *, test=100, clean=600):
    """With a patch planted, then the clean twin: (rows, trusted rows, mask of the rows in question, planted)."""
    parts = split(load("digits"), test=test, clean=clean, seed=seed)
    poison = Backdoor(Patch(size=2), target=7, rate=rate).poison(parts.train, seed=seed)
    truth = poison.mask(len(parts.train))
    yield poison.apply(parts.train), parts.clean, truth, True
    yield parts.train, parts.clean, truth, False
