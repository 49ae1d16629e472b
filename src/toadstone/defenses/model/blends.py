"""Which classes sums of two clean images go to, added as STRIP does (Gao et al., ACSAC 2019, arXiv:1902.06531)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.core import Data
from toadstone.defenses.inference.strip import superimpose
from toadstone.models.torch_model import TorchModel
from toadstone.rng import child

_IMAGES = 80


def attraction(model: TorchModel, rows: Data, seed: int) -> Float[ndarray, " k"]:
    """The share of sums of two images, of 80 drawn with ``seed``, that each class gets."""
    order = np.random.default_rng(child(seed, "blends")).permutation(len(rows))[:_IMAGES]
    x = np.asarray(rows.x[np.sort(order)])
    both = superimpose(x[::2], x[1::2])
    classes = model.logits(both.reshape(-1, *x.shape[1:])).argmax(1)
    return np.bincount(classes, minlength=len(rows.classes)) / len(classes)
