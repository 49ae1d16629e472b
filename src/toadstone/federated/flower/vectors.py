"""Named arrays as the vector that rules measure distances in, and back; numpy alone.

The vector holds the floating arrays. Whole numbers, such as the ``num_batches_tracked`` of batch norm, are counters: a
client with more rows counts further, by hundreds where weights move by hundredths, so that distances would tell how
many rows a client has and hide what it sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from toadstone.errors import ToadstoneError

Arrays = Mapping[str, ndarray]

_COUNTERS = "iub"  # numpy's kinds of whole numbers and of true and false


def difference(reply: Arrays, start: Arrays) -> Float[ndarray, " d"]:
    """What a client added to the floating arrays that it was sent, entry after entry, as one vector.

    The difference is taken in double precision: that of large weights keeps its digits. Raises ToadstoneError for other
    names, shapes or kinds of numbers than those sent, and for arrays that hold no real numbers.
    """
    if list(reply) != list(start):
        raise ToadstoneError(f"reply holds the arrays {list(reply)}, not {list(start)}: return those that were sent.")
    parts = []
    for name, old in start.items():
        new = reply[name]
        if old.shape != new.shape:
            raise ToadstoneError(f"reply's array {name} has shape {new.shape}, not {old.shape} as it was sent.")
        counts = _is_counter(name, old)
        if counts != _is_counter(name, new) or (counts and old.dtype != new.dtype):
            raise ToadstoneError(f"reply's array {name} has type {new.dtype}, not {old.dtype} as it was sent.")
        if not counts:
            with np.errstate(over="ignore", invalid="ignore"):
                parts.append((new.astype(np.float64) - old).ravel().astype(np.float32))
    return np.concatenate([np.empty(0, np.float32), *parts])


def moved(start: Arrays, step: Float[ndarray, " d"], counters: Arrays) -> dict[str, ndarray]:
    """The arrays of ``start``, the floating ones with a step added, the others as in ``counters``; types stay."""
    arrays, at = {}, 0
    for name, old in start.items():
        with np.errstate(over="ignore", invalid="ignore"):
            if _is_counter(name, old):
                arrays[name] = np.asarray(counters[name], old.dtype)
                continue
            new = old.astype(np.float64) + step[at : at + old.size].reshape(old.shape)
            at += old.size
            arrays[name] = np.asarray(new, old.dtype)
    return arrays


def middle_counters(replies: Sequence[Arrays]) -> dict[str, ndarray]:
    """The median of each counter over the clients, the lower of two in the middle.

    Of clients with an honest majority it lies between honest values, which neither a mean nor a maximum does: one
    client alone moves those as far as it likes. It is a value that somebody sent, so it stays a whole number.
    """
    middle = {}
    for name, first in replies[0].items():
        if _is_counter(name, first):
            ordered = np.sort(np.stack([reply[name] for reply in replies]), axis=0)
            middle[name] = np.asarray(ordered[(len(ordered) - 1) // 2])
    return middle


def flat(arrays: Arrays) -> Float[ndarray, " d"]:
    """The entries of the floating arrays as one vector."""
    floating = [array.ravel().astype(np.float32) for name, array in arrays.items() if not _is_counter(name, array)]
    return np.concatenate([np.empty(0, np.float32), *floating])


def _is_counter(name: str, array: ndarray) -> bool:
    if array.dtype.kind not in _COUNTERS + "f":
        raise ToadstoneError(f"array {name} has type {array.dtype}: send real numbers, as float32 or int64.")
    return array.dtype.kind in _COUNTERS
