"""Seeds. Each stage draws from a child seed of its own, and global generators are left alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager


def child(seed: int, *stage: str) -> int:
    """A seed for one named stage, so that adding a stage moves no other.

    >>> child(0, "train") != child(0, "attack"), child(0, "train") == child(0, "train")
    (True, True)
    """
    digest = hashlib.sha256("/".join([str(seed), *stage]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Inside the block torch draws (initial weights, dropout) from ``seed``; outside it draws as before.

    torch's layers read the default generator and take no other, so its state is put back afterwards.
    """
    import torch  # noqa: PLC0415 (numpy-only users never pay for torch)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
