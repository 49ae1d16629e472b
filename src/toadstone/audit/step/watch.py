"""Watching one training step: what enters the model, and which targets its outputs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_LAYERS = frozenset(
    {"linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
    | {"embedding", "embedding_bag", "matmul", "mm", "bmm", "mv", "addmm", "baddbmm", "einsum", "bilinear"}
    | {"tensordot", "__matmul__", "__rmatmul__"}
)
_LOSSES = {  # where the target is
    **dict.fromkeys(
        [
            "cross_entropy",
            "nll_loss",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "mse_loss",
            "l1_loss",
            "smooth_l1_loss",
            "huber_loss",
            "kl_div",
            "multi_margin_loss",
            "multilabel_margin_loss",
            "multilabel_soft_margin_loss",
            "soft_margin_loss",
            "poisson_nll_loss",
            "gaussian_nll_loss",
            "hinge_embedding_loss",
            "ctc_loss",
        ],
        1,
    ),
    "cosine_embedding_loss": 2,
    "margin_ranking_loss": 2,
}
_GATHERS = {"gather": 2, "take_along_dim": 1, "__getitem__": 1}
_PRODUCTS = frozenset({"mul", "multiply", "__mul__", "__rmul__", "sub", "subtract", "__sub__", "__rsub__", "rsub"})
_NODES = 100_000  # of a graph that is searched for the model's outputs


@dataclass(frozen=True)
class Forward:
    """One use of the model: the tensors that entered it, by name, as they were then."""

    where: str
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Target:
    """A tensor that outputs were compared with; ``forwards`` are the numbers of the uses they came from."""

    where: str
    tensor: Tensor
    forwards: frozenset[int]
    certain: bool  # a loss function or an index, not an arithmetic product
    ignored: int | None = None


class Watch(TorchFunctionMode):
    """Records the uses of ``model`` (or of a copy, a part, or its bare weights) with gradients, and their targets."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.forwards: list[Forward] = []
        self.targets: list[Target] = []
        self.again: list[str] = []  # parts that ran more than once on one forward's values
        self.names = {id(m): name or "the model" for name, m in model.named_modules()}
        self.modules = list(model.modules())
        self.weights = [p for p in model.parameters() if p.numel() > 1]
        self.depth = 0
        self._outputs: dict[Any, frozenset[int]] = {}
        self._runs: dict[tuple[str, frozenset[int]], int] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.depth or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        self._compared(name, args, kwargs)
        bare = self._bare(name, args, kwargs) if name in _LAYERS else None
        out = func(*args, **kwargs)
        if bare:
            self._used(f"weights in {name}", bare, out)
        return out

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The classes of the model's modules tell of each forward; put back on leaving."""
        classes = {type(m) for m in self.modules if not isinstance(m, torch.jit.ScriptModule)}
        originals = {c: c.__dict__.get("forward") for c in classes}
        for c in classes:
            c.forward = self._telling(c.forward)
        try:
            with self:
                yield
        finally:
            for c, forward in originals.items():
                if forward is None:
                    del c.forward
                else:
                    c.forward = forward

    def _telling(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self.depth or not torch.is_grad_enabled() or not self._ours(module):
                return forward(module, *args, **kwargs)
            entering = dict(tensors([*args, kwargs]))
            inputs = {name: t.detach().clone() for name, t in entering.items()}
            before = self._behind(list(entering.values()))
            self.depth += 1
            try:
                out = forward(module, *args, **kwargs)
            finally:
                self.depth -= 1
            self._register(self.names.get(id(module), "a copy of the model"), inputs, before, out)
            return out

        return watched

    def _used(self, where: str, data: list[Tensor], out: Any) -> None:
        inputs = {str(i): t.detach().clone() for i, t in enumerate(data)}
        self._register(where, inputs, self._behind(data), out)

    def _register(self, where: str, inputs: dict[str, Tensor], before: frozenset[int], out: Any) -> None:
        """A new forward, unless all that entered came out of earlier ones."""
        nodes = [t.grad_fn for _, t in tensors([out]) if t.grad_fn is not None]
        if not nodes or not inputs:
            return
        if not before:
            before = frozenset({len(self.forwards)})
            self.forwards.append(Forward(where, inputs))
        else:
            runs = self._runs[where, before] = self._runs.get((where, before), 0) + 1
            if runs == 2:
                self.again.append(where)
        self._outputs |= dict.fromkeys(nodes, before)

    def _behind(self, outputs: list[Tensor]) -> frozenset[int]:
        """The forwards that ``outputs`` come from."""
        todo = [t.grad_fn for t in outputs if t.grad_fn is not None]
        seen: set[Any] = set()
        forwards: frozenset[int] = frozenset()
        while todo and len(seen) < _NODES:
            node = todo.pop()
            if node in self._outputs:
                forwards |= self._outputs[node]
            elif node not in seen:
                seen.add(node)
                todo += [parent for parent, _ in node.next_functions if parent is not None]
        return forwards

    def _ours(self, module: nn.Module) -> bool:
        """Whether a module is the model, a part of it, or a copy of either."""
        if id(module) in self.names:
            return True
        weights = [p for p in module.parameters() if p.numel() > 1]
        return bool(weights) and any(bool(p.any()) for p in weights) and all(map(self._weight, weights))

    def _weight(self, tensor: Tensor) -> bool:
        for p in self.weights:
            if p is tensor or (p.shape == tensor.shape and p.dtype == tensor.dtype):
                with torch.no_grad(), torch._C.DisableTorchFunction():
                    if p is tensor or p.data_ptr() == tensor.data_ptr() or torch.equal(p, tensor):
                        return True
        return False

    def _bare(self, name: str, args: Any, kwargs: Any) -> list[Tensor] | None:
        """The data in a layer's function that is called with the model's own weights."""
        entering = [t for _, t in tensors([*args, kwargs])]
        mine = [bool(t.numel() > 1 and t.requires_grad and self._weight(t)) for t in entering]
        data = [t for t, own in zip(entering, mine, strict=True) if not own and t.ndim]
        return data[:1] if any(mine) and data else None

    def _compared(self, name: str, args: Any, kwargs: Any) -> None:
        """Record the target of a loss function, an index into outputs, or a product with them."""
        if name in _LOSSES:
            at = _LOSSES[name]
            target = kwargs.get("target", kwargs.get("targets", args[at] if len(args) > at else None))
            predicted = kwargs.get("input", args[0] if args else None)
            if _given(predicted) and _predicted(target):
                predicted, target = target, predicted
            ignored = kwargs.get("ignore_index", -100) if name in ("cross_entropy", "nll_loss") else None
            self._note(name, predicted, target, True, ignored)
        elif name in _GATHERS and args:
            index = kwargs.get("index", args[_GATHERS[name]] if len(args) > _GATHERS[name] else None)
            index = index[-1] if isinstance(index, tuple) and index else index
            if (
                isinstance(index, Tensor)
                and index.dtype == torch.int64
                and isinstance(args[0], Tensor)
                and args[0].ndim > 1
            ):
                self._note(name, args[0], index, True, None)
        elif name in _PRODUCTS and len(args) == 2:
            for predicted, target in (args, args[::-1]):
                if _predicted(predicted) and _given(target) and predicted.shape == target.shape and target.ndim:
                    self._note(name, predicted, target, False, None)

    def _note(self, where: str, predicted: Any, target: Any, certain: bool, ignored: int | None) -> None:
        if isinstance(predicted, Tensor) and _given(target):
            behind = self._behind([predicted])
            if behind:
                with torch._C.DisableTorchFunction():
                    content = target.detach().clone()
                self.targets.append(Target(where, content, behind, certain, ignored))


def _predicted(thing: Any) -> bool:
    return isinstance(thing, Tensor) and thing.grad_fn is not None


def _given(thing: Any) -> bool:
    return isinstance(thing, Tensor) and thing.grad_fn is None


def tensors(thing: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested lists and mappings, with a name."""
    if isinstance(thing, Tensor):
        yield name, thing
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from tensors(value, f"{name}.{key}".strip("."))
    elif isinstance(thing, list | tuple):
        for i, value in enumerate(thing):
            yield from tensors(value, f"{name}.{i}".strip("."))
    elif hasattr(thing, "__dataclass_fields__"):
        for key in thing.__dataclass_fields__:
            yield from tensors(getattr(thing, key, None), f"{name}.{key}".strip("."))
