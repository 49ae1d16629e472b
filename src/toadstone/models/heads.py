"""What a net returns, read on clean rows, as the logits that everything else asks for."""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from toadstone.errors import ToadstoneError

Scale = Literal["logits", "probabilities", "sigmoids", "one logit", "one probability"]
_NAMES = ("logits", "logit", "out", "output", "scores", "prediction", "pred", "probs", "probabilities")
_DEEPEST = 3
_LEAST = torch.finfo(torch.float32).tiny
_OFF = 1e-3  # by which sums of probabilities may differ from 1
_OFF_HALF = 2e-2
_VIEWS = ("View", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Clone", "Slice", "Select", "Alias", "UnsafeView")
_SQUASHES = (
    torch.sigmoid,
    torch.Tensor.sigmoid,
    F.sigmoid,
    torch.special.expit,
    torch.softmax,
    torch.Tensor.softmax,
    F.softmax,
    torch.special.softmax,
)
_WAY_ON = "wrap it in a torch.nn.Module whose forward returns the tensor of logits, (rows, classes)"


class Ends(TorchFunctionMode):
    """Remembers what the last softmaxes and sigmoids were made of while it is entered. A probability near 1 has lost
    how far its logit is above the others, and the gradient with it."""

    def __init__(self) -> None:
        super().__init__()
        self.last: deque[tuple[Tensor, Tensor]] = deque(maxlen=4)  # a net may have hundreds in its inner layers

    def __torch_function__(  # type: ignore[no-untyped-def]
        self, func, types, args=(), kwargs=None
    ):
        out = func(*args, **(kwargs or {}))
        if func in _SQUASHES and args and isinstance(out, Tensor) and out.shape == args[0].shape:
            self.last.append((out, args[0]))
        return out

    def before(self, values: Tensor) -> Tensor | None:
        """The logits that ``values`` were made of; None where they are no such answer as it was made."""
        return next((logits for out, logits in self.last if out is values), None)


@dataclass(frozen=True)
class Head:
    """How a net's answer becomes logits: the steps that lead to a tensor in it, and what the numbers there are."""

    path: tuple[str | int, ...] = ()
    scale: Scale = "logits"

    def __str__(self) -> str:
        return "; ".join([f"answers at {'.'.join(map(str, self.path))}"] * bool(self.path) + [self.scale])

    def ask(self, net: Callable[[Tensor], Any], x: Tensor) -> Tensor:
        """(n, classes) logits, float32; ToadstoneError where the answer is not built as it was on the clean rows."""
        if self.scale in ("logits", "one logit"):
            return _LOGITS[self.scale](_flat(self._found(net(x))).float())
        with Ends() as ends:
            values = self._found(net(x))
        logits = ends.before(values)
        if logits is None:
            return _LOGITS[self.scale](_flat(values).float())
        return _LOGITS["one logit" if self.scale == "one probability" else "logits"](_flat(logits).float())

    def _found(self, out: Any) -> Tensor:
        try:
            for step in self.path:
                out = _step(out, step)
        except (KeyError, IndexError, AttributeError) as error:
            raise ToadstoneError(f"the net returns another thing for some rows than for others: {_WAY_ON}.") from error
        if not isinstance(out, Tensor):
            raise ToadstoneError(f"the net returns a {type(out).__name__}: {_WAY_ON}.")
        return out


def _logit(p: Tensor) -> Tensor:
    return p.clamp_min(_LEAST).log() - (1 - p).clamp_min(_LEAST).log()


_LOGITS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda z: z,
    "probabilities": lambda p: p.clamp_min(_LEAST).log(),
    "sigmoids": _logit,
    "one logit": lambda z: F.pad(z, (1, 0)),
    "one probability": lambda p: F.pad(_logit(p), (1, 0)),
}


class Headed(nn.Module):
    """``net`` with its answer turned into logits."""

    def __init__(self, net: nn.Module, head: Head) -> None:
        super().__init__()
        self.net, self.head = net, head

    def extra_repr(self) -> str:
        return str(self.head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head.ask(self.net, x)


def read_head(out: Any, rows: int, classes: int) -> tuple[Head, int]:
    """How what a net returned for ``rows`` clean rows is read, and how many classes it tells apart.

    That number is ``classes`` where the answer has a tensor for them; a larger one where the net knows more.
    Raises ToadstoneError, which says how to wrap the net, where there is no such tensor.
    """
    tensors = [(path, _flat(t)) for path, t in _tensors(out) if t.ndim and len(t) == rows]
    fitting = [each for each in tensors if _knows(each[1], classes) == classes]
    larger = [each for each in tensors if _knows(each[1], classes) > classes]
    if not fitting and not larger:
        raise ToadstoneError(f"the net answers {_shapes(out)} but clean has {classes} classes: {_WAY_ON}.")
    path, values = min(fitting or larger, key=lambda each: _rank(each[0]))
    return Head(path, _scale(values)), _knows(values, classes)


def is_plain(out: Any, head: Head) -> bool:
    """Whether an answer is logits as they are asked for, with nothing to do."""
    return head == Head() and isinstance(out, Tensor) and out.ndim == 2 and out.dtype == torch.float32


def unwrapped(net: nn.Module) -> nn.Module:
    """``net`` out of the wrappers of several devices and of torch.compile, whose layers have other names."""
    while isinstance(inner := getattr(net, "_orig_mod", _parallel(net)), nn.Module):
        net = inner
    return net


def float32(net: nn.Module) -> nn.Module:
    """``net``, or a copy of it in single precision where it has another."""
    numbers = [*net.parameters(), *net.buffers()]
    if all(not v.is_floating_point() or v.dtype == torch.float32 for v in numbers):
        return net
    return copy.deepcopy(net).float()


def _parallel(net: nn.Module) -> object:
    return net.module if isinstance(net, nn.DataParallel | nn.parallel.DistributedDataParallel) else None


def settled(net: nn.Module, *, single: bool = True) -> nn.Module:
    """``net``, unwrapped, in evaluation mode and ``single`` precision: a copy where it is in another."""
    inner = unwrapped(net)
    mine = float32(inner) if single else inner
    if mine is not inner or not any(part.training for part in inner.modules()):
        return mine.eval()
    try:
        return copy.deepcopy(inner).eval()
    except Exception:  # some modules cannot be copied: each call sets the mode and puts it back
        return inner


def _step(out: Any, step: str | int) -> Any:
    return out[step] if isinstance(out, Mapping) or isinstance(step, int) else getattr(out, step)


def _tensors(out: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Tensor]]:
    if isinstance(out, Tensor):
        yield path, out
    elif len(path) < _DEEPEST:
        for step, each in _inside(out):
            yield from _tensors(each, (*path, step))


def _inside(out: Any) -> list[tuple[str | int, Any]]:
    """The named or numbered parts of a container or of a plain object."""
    if isinstance(out, Mapping):
        return [(key, each) for key, each in out.items() if isinstance(key, str | int)]
    if isinstance(out, list | tuple):
        return list(zip(getattr(out, "_fields", range(len(out))), out, strict=True))
    if dataclasses.is_dataclass(out) and not isinstance(out, type):
        return [(field.name, getattr(out, field.name)) for field in dataclasses.fields(out)]
    return list(getattr(out, "__dict__", {}).items()) or [("logits", getattr(out, "logits", None))]


def _flat(values: Tensor) -> Tensor:
    """(n,) and (n, k, 1, 1) as (n, k)."""
    if values.ndim == 1:
        return values[:, None]
    return values.flatten(1) if values.ndim > 2 and values.shape[2:].numel() == 1 else values


def _knows(values: Tensor, classes: int) -> int:
    """How many classes such a tensor tells apart; 0 for what is no answer."""
    if values.ndim != 2 or not values.is_floating_point():
        return 0
    columns = values.shape[1]
    return 2 if columns == 1 and classes == 2 else columns if columns >= classes else 0


def _rank(path: tuple[str | int, ...]) -> int:
    """Places that are named as answers are come first; of others the first in the net's own order."""
    last = str(path[-1]) if path else ""
    return _NAMES.index(last) if last in _NAMES else len(_NAMES)


def _scale(values: Tensor) -> Scale:
    half = values.dtype in (torch.float16, torch.bfloat16)
    numbers = values.detach().double().cpu().numpy()
    shares = bool(((numbers >= 0) & (numbers <= 1 + _OFF)).all())
    if numbers.shape[1] == 1:
        return "one probability" if shares else "one logit"
    if shares and np.abs(numbers.sum(1) - 1).max() < (_OFF_HALF if half else _OFF):
        return "probabilities"
    return "sigmoids" if shares and _made_by(values, "Sigmoid") else "logits"


def _made_by(values: Tensor, name: str) -> bool:
    """Whether the operation of that name made the values, views and copies aside: torch keeps it for the gradient."""
    made = values.grad_fn
    while made is not None and made.name().startswith(_VIEWS):
        made = made.next_functions[0][0]
    return made is not None and made.name().startswith(name)


def _shapes(out: Any) -> str:
    shapes = [str(tuple(t.shape[1:])) for _, t in _tensors(out)]
    return f"{', '.join(shapes)} a row" if shapes else f"with a {type(out).__name__}"
