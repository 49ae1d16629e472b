"""Whatever a training step changes is put back: weights, gradients, modes, optimizers, random generators."""

from __future__ import annotations

import copy
import functools
import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import optimizer as optimizers


@contextmanager
def put_back(step: Callable[..., Any], model: nn.Module) -> Iterator[None]:
    """Inside the block ``step`` may change the model and all that it holds on to; afterwards nothing has happened."""
    holders = {id(thing): thing for thing in [model, *_holdings(step)]}
    undo: dict[int, Callable[[], None]] = {}
    of_torch, of_numpy, of_python = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def keep(thing: Any) -> None:
        if id(thing) not in undo:
            undo[id(thing)] = _module(thing) if isinstance(thing, nn.Module) else _stateful(thing)

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        keep(optimizer)
        if -id(optimizer) not in undo:
            undo[-id(optimizer)] = _leaves([p for group in optimizer.param_groups for p in group["params"]])

    for thing in holders.values():
        keep(thing)
    hook = optimizers.register_optimizer_step_pre_hook(before_step)
    try:
        yield
    finally:
        hook.remove()
        for back in reversed(undo.values()):
            back()
        torch.set_rng_state(of_torch)
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)
        if devices:
            torch.cuda.set_rng_state_all(devices)


def _holdings(step: Any, depth: int = 0) -> Iterator[Any]:
    """What a function reaches that has a state: closure, globals, defaults, its object, and functions among them."""
    if isinstance(step, functools.partial):
        yield from _stateful_in([*step.args, *step.keywords.values()])
        step = step.func
    owner, function = getattr(step, "__self__", step), getattr(step, "__func__", step)
    if not inspect.isfunction(function):
        function = getattr(type(step), "__call__")  # noqa: B004, B009 (an object that is called)
    reached = list(getattr(owner, "__dict__", {}).values())
    if inspect.isfunction(function):
        known = inspect.getclosurevars(inspect.unwrap(function))
        reached += [*known.nonlocals.values(), *known.globals.values(), *(function.__defaults__ or ())]
    yield from _stateful_in([owner, *reached])
    for inner in reached:
        if depth < 3 and (inspect.isfunction(inner) or inspect.ismethod(inner)):
            yield from _holdings(inner, depth + 1)


def _stateful_in(things: Any) -> Iterator[Any]:
    for thing in things:
        inside = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else [thing]
        for one in inside:
            if not isinstance(one, type) and callable(getattr(one, "load_state_dict", None)):
                yield one


def _stateful(thing: Any) -> Callable[[], None]:
    state = copy.deepcopy(thing.state_dict())
    return lambda: thing.load_state_dict(state)


def _module(model: nn.Module) -> Callable[[], None]:
    """How to put a module back: the very same tensors with their content, flags and gradients."""
    modules = [(m, dict(m.__dict__), dict(m._parameters), dict(m._buffers)) for m in model.modules()]
    leaves = _leaves([*model.parameters(), *model.buffers()])

    def back() -> None:
        for module, attributes, parameters, buffers in modules:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            module._parameters.clear()
            module._parameters.update(parameters)
            module._buffers.clear()
            module._buffers.update(buffers)
        leaves()

    return back


def _leaves(tensors: list[Tensor]) -> Callable[[], None]:
    states = [(t, t.detach().clone(), t.requires_grad, t.grad, _copied(t.grad)) for t in tensors]

    @torch.no_grad()
    def back() -> None:
        for tensor, content, wanted, grad, slope in states:
            tensor.detach().copy_(content)
            tensor.requires_grad_(wanted)
            tensor.grad = grad
            if grad is not None and slope is not None:
                grad.copy_(slope)

    return back


def _copied(grad: Tensor | None) -> Tensor | None:
    return None if grad is None else grad.clone()
