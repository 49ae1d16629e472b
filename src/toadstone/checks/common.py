"""What every check needs: a small real problem, and proof that a call touched nothing it was given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from toadstone.attacks import Backdoor
from toadstone.core import Data, Poison
from toadstone.data import load, split
from toadstone.models import TorchModel, torch_model
from toadstone.models.nets import SmallCNN
from toadstone.registry import from_spec, to_spec
from toadstone.training import Train
from toadstone.triggers import Patch


class ViolationError(AssertionError):
    """A contract that an object does not keep; the message says which and how."""


def require(held: bool, sentence: str) -> None:
    """Raise ViolationError with ``sentence`` unless ``held``."""
    if not held:
        raise ViolationError(sentence)


@dataclass(frozen=True, eq=False)
class Toy:
    """Embedded digits with a corner square: the poisoned rows, trusted rows in and out of training, a model.

    ``pair`` holds the training rows of two classes, ``numbers`` a table of columns and the digit as a number,
    ``texts`` messages of two kinds.
    """

    train: Data
    pair: Data
    numbers: Data
    texts: Data
    poisoned: Data
    poison: Poison
    inside: Data
    held: Data
    test: Data
    model: TorchModel


@cache
def toy() -> Toy:
    """The problem that objects are checked on; made once, in about two seconds."""
    parts = split(load("digits"), test=300, clean=500, seed=0)
    inside, held = parts.clean.take(np.arange(0, 500, 2)), parts.clean.take(np.arange(1, 500, 2))
    poison = Backdoor(Patch(size=2), target=7, rate=0.1).poison(parts.train, seed=0)
    poisoned = poison.apply(parts.train)
    model = Train(SmallCNN(width=8, hidden=64), epochs=12, batch_size=32).fit(poisoned.append(inside), seed=0)
    two = parts.train.take(np.isin(parts.train.y, (3, 8)))
    pair = Data(two.x, (two.y == 8).astype(np.int64), ("three", "eight"))
    columns = np.asarray(parts.train.x).reshape(len(parts.train), -1) / 255
    numbers = Data(columns, parts.train.y / 9, ())
    return Toy(parts.train, pair, numbers, _texts(), poisoned, poison, inside, held, parts.test, model)


def _texts() -> Data:
    draw, y = np.random.default_rng(0), np.arange(120) % 2
    words = [["report", "meeting", "draft", "today", "thanks"], ["cash", "winner", "offer", "today", "free"]]
    return Data(np.array([" ".join(draw.choice(words[c], 4)) for c in y], object), y, ("ham", "spam"))


def digest(value: Any) -> str:
    """A hash of what arrays, data sets and models hold."""
    found = hashlib.sha256()
    for part in _parts(value):
        found.update(part)
    return found.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Data):
        yield from _parts(np.asarray(value.x))
        yield from _parts(value.y)
    elif isinstance(value, TorchModel):
        for name, tensor in value.net.state_dict().items():
            yield name.encode() + tensor.numpy().tobytes()
        yield repr([(p.requires_grad, m.training) for m in value.net.modules() for p in m.parameters(False)]).encode()
    elif isinstance(value, ndarray):
        yield repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).tobytes()


@contextmanager
def untouched(*given: Any) -> Iterator[None]:
    """Raise ViolationError when the block changes an argument or a global random generator."""
    before = [digest(g) for g in given]
    generators = _generators()
    yield
    for number, (old, value) in enumerate(zip(before, given, strict=True)):
        require(digest(value) == old, f"Argument {number} was changed by the call: work on a copy.")
    require(_generators() == generators, "A global random generator was touched: draw from the seed instead.")


def _generators() -> tuple[str, ...]:
    """Python's own generator is left to the test that two calls with one seed agree."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 (to see that nobody uses it)
    return repr(numpy_state), repr(torch.get_rng_state().tolist())


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """Inside the block torch models work through their rows in batches of ``size``."""
    usual = torch_model.BATCH
    torch_model.BATCH = size
    try:
        yield
    finally:
        torch_model.BATCH = usual


def same(a: ndarray | None, b: ndarray | None, sentence: str) -> None:
    """Raise ViolationError unless two results agree to 1e-4; float32 sums may differ with the batch."""
    agree = (a is None and b is None) or (
        a is not None and b is not None and a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-4)
    )
    require(agree, sentence)


def check_spec(obj: Any) -> None:
    """The object's JSON spec makes an equal object."""
    back = from_spec(json.loads(json.dumps(to_spec(obj))))
    require(back == obj, f"{type(obj).__name__} is not equal to the object that its JSON spec makes.")
