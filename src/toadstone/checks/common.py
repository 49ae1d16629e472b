"""Shared by all checks: a small real problem, and a check that a call leaves its arguments unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy import ndarray

from toadstone.attacks import Backdoor
from toadstone.core import Data, Poison, Rate, Scores
from toadstone.data import load, split
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.models import TorchModel, torch_model
from toadstone.models.nets import SmallCNN
from toadstone.registry import from_spec, to_spec
from toadstone.training import Train
from toadstone.triggers import Patch

R = TypeVar("R")


class ViolationError(AssertionError):
    """An object does not keep its contract; the message says how."""


def require(condition: bool, sentence: str) -> None:
    """Raise ViolationError with ``sentence`` unless ``condition`` holds."""
    if not condition:
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
    """The problem that objects are checked on; built once, in about two seconds."""
    parts = split(load("digits"), test=300, clean=500, seed=0)
    inside, outside = parts.clean.take(np.arange(0, 500, 2)), parts.clean.take(np.arange(1, 500, 2))
    poison = Backdoor(Patch(size=2), target=7, rate=0.1).poison(parts.train, seed=0)
    poisoned = poison.apply(parts.train)
    model = Train(SmallCNN(width=8, hidden=64), epochs=12, batch_size=32).fit(poisoned.append(inside), seed=0)
    two = parts.train.take(np.isin(parts.train.y, (3, 8)))
    pair = Data(two.x, (two.y == 8).astype(np.int64), ("three", "eight"))
    columns = np.asarray(parts.train.x).reshape(len(parts.train), -1) / 255
    numbers = Data(columns, parts.train.y / 9, ())
    return Toy(parts.train, pair, numbers, _texts(), poisoned, poison, inside, outside, parts.test, model)


def _texts() -> Data:
    draw, y = np.random.default_rng(0), np.arange(120) % 2
    words = [["report", "meeting", "draft", "today", "thanks"], ["cash", "winner", "offer", "today", "free"]]
    return Data(np.array([" ".join(draw.choice(words[c], 4)) for c in y], object), y, ("ham", "spam"))


def digest(value: Any) -> str:
    """A hash of the content of arrays, data sets and models."""
    sha = hashlib.sha256()
    for part in _parts(value):
        sha.update(part)
    return sha.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Data):
        yield from _parts(np.asarray(value.x))
        yield from _parts(value.y)
        for name, column in value.meta.items():
            yield name.encode()
            yield from _parts(np.asarray(column))
    elif isinstance(value, TorchModel):
        for name, tensor in value.net.state_dict().items():
            yield name.encode() + tensor.numpy(force=True).tobytes()
        yield repr([(p.requires_grad, p.grad is None) for p in value.net.parameters()]).encode()
        yield repr([(m.training, len(m._forward_hooks)) for m in value.net.modules()]).encode()
    elif isinstance(value, ndarray):
        yield repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).tobytes()


@contextmanager
def untouched(*arguments: Any) -> Iterator[None]:
    """Raise ViolationError when the block changes an argument or a global random generator."""
    before = [digest(g) for g in arguments]
    generators = _generators()
    yield
    for number, (old, value) in enumerate(zip(before, arguments, strict=True)):
        require(digest(value) == old, f"Argument {number} was changed by the call: work on a copy.")
    require(_generators() == generators, "A global random generator was touched: draw from the seed instead.")


def _generators() -> tuple[str, ...]:
    """Python's own generator is not among them: two calls with one seed would differ if it were used."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 (to see that it is not used)
    return repr(numpy_state), repr(torch.get_rng_state().tolist())


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """Inside the block torch models process rows in batches of ``size``."""
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


def refuses(action: Callable[[], object], what: str, error: type[ToadstoneError] = ToadstoneError) -> None:
    """Raise ViolationError unless ``action``, which is given ``what``, raises ``error``."""
    todo = f"raise {error.__name__} with one sentence that says what to do."
    try:
        action()
    except error:
        return
    except Exception as other:
        raise ViolationError(f"Of {what} it says {type(other).__name__} ({other}): {todo}") from other
    raise ViolationError(f"It accepts {what}: {todo}")


def declines_or(action: Callable[[], R], what: str) -> R | None:
    """What ``action``, which is given ``what``, returns; None where it says that this is not applicable."""
    try:
        return action()
    except NotApplicableError:
        return None
    except Exception as other:
        raise ViolationError(
            f"Of {what} it says {type(other).__name__} ({other}): take it, or raise NotApplicableError. "
            "register(needs=...) does so for you."
        ) from other


def accepted(action: Callable[[Data], object]) -> Data:
    """The first data set that ``action`` accepts: all digits, two of them, a regression table, or texts."""
    reason = ""
    for data in (toy().train, toy().pair, toy().numbers, toy().texts):
        try:
            action(data)
        except ToadstoneError as error:
            reason = reason or str(error)
            continue
        return data
    raise ViolationError(f"It accepts neither classes nor numbers: {reason}")


def one_class(data: Data) -> Data:
    """The rows with the label of the first row."""
    return data.take(np.flatnonzero(data.y == data.y[0]))


def other_kind(data: Data) -> Data:
    """The same rows with their classes as numbers, or their numbers as two classes."""
    if data.classes:
        return replace(data, y=data.y.astype(float), classes=())
    return replace(data, y=(data.y > np.median(data.y)).astype(np.int64), classes=("low", "high"))


def valid_pvalues(scores: Scores, n: int) -> None:
    """Raise ViolationError unless there are ``n`` p-values."""
    p = scores.pvalues
    require(p is not None and p.shape == (n,), "p-values must be one number a row when trusted rows are given.")
    require(p is not None and bool(((p > 0) & (p <= 1)).all()), "p-values lie in (0, 1].")


def valid_rate(rate: Rate) -> None:
    """Raise ViolationError unless a goal's success lies in [0, 1], within its interval."""
    require(0 <= rate.low <= rate.value <= rate.high <= 1, "The goal's success is not a rate.")
