"""Rows in an order of their own, for methods that train: what they say of a row must not depend on where it stood."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from toadstone.core import Data


def by_content(data: Data, seed: int) -> Int[ndarray, " n"]:
    """The rows' numbers in an order that depends on the rows and the seed, not on the order in which they came."""
    key = seed.to_bytes(8, "little")
    digests = []
    for i in range(len(data)):
        row = data.x[i]
        content = row.encode() if isinstance(row, str) else np.ascontiguousarray(row).tobytes()
        digests.append(hashlib.blake2b(content + bytes([0]) + str(data.y[i]).encode(), key=key).digest())
    return np.array(sorted(range(len(data)), key=digests.__getitem__))
