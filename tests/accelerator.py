"""A device that stands for a GPU where there is none: its tensors have values, and it refuses what a GPU refuses.

Tensors of torch's meta device are given values, kept on the CPU out of sight. As on a GPU, a step that mixes devices
raises, a tensor has to be copied before numpy reads it, and generators of the CPU draw nothing on the device. What is
computed on the CPU meanwhile, in the single precision of nets, is noted: a net that was left there works, but shows.
"""

from __future__ import annotations

from functools import cache

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

DEVICE = torch.device("meta")
_ATEN = torch.ops.aten
_COPIES = {_ATEN.copy_.default, _ATEN._to_copy.default}
_INDEXED = {_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default, _ATEN._index_put_impl_.default}
_WORK = ("conv", "mm", "bmm", "addmm", "baddbmm", "_thnn", "embedding", "max_pool", "native_batch_norm", "linear")


class Held(torch.Tensor):
    """A tensor that says it is on the device; its values lie in ``inside``, on the CPU."""

    @staticmethod
    def __new__(cls, inside):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inside.size(),
            strides=inside.stride(),
            storage_offset=inside.storage_offset(),
            dtype=inside.dtype,
            device=DEVICE,
        )

    def __init__(self, inside):
        self.inside = inside

    def __repr__(self):
        return f"Held({self.inside!r})"

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        options = options or {}
        if function is torch.Tensor.numpy:
            if not options.get("force"):
                raise TypeError("can't convert a tensor of the device to numpy: copy it to the CPU first.")
            return arguments[0].detach().cpu().numpy()
        if function is torch.Tensor.tolist:
            return arguments[0].detach().cpu().tolist()
        with torch._C.DisableTorchFunctionSubclass():
            return function(*arguments, **options)

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        raise RuntimeError(f"{function} was called on a tensor of the device outside of Accelerator().")


class Accelerator(TorchDispatchMode):
    """Inside the block the meta device holds values; ``on_cpu`` names the heavy steps that ran on the CPU."""

    def __init__(self):
        super().__init__()
        self.on_cpu, self.on_device = [], 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = dict(options or {})
        if torch.is_inference_mode_enabled() and _of_others(function):  # elsewhere it is taken apart before
            with self:
                return function.decompose(*arguments, **options)
        tensors = list(_tensors((arguments, *options.values())))
        held = [tensor for tensor in tensors if isinstance(tensor, Held)]
        name = function.__name__.partition(".")[0]
        if function in _COPIES:
            return self._copy(function, arguments, options)
        wanted = options.get("device")
        if not held and (wanted is None or torch.device(wanted) != DEVICE):
            if name.startswith(_WORK) and any(tensor.dtype == torch.float32 for tensor in tensors):
                self.on_cpu.append(name)
            return function(*arguments, **options)
        if not held and options.get("generator") is not None:
            raise RuntimeError(f"{name}: a generator of the CPU cannot draw on the device.")
        self._check_devices(function, arguments, tensors, name)
        self.on_device += name.startswith(_WORK)
        if wanted is not None:
            options["device"] = torch.device("cpu")
        with torch.inference_mode(False):  # a view of a tensor that was made outside cannot be made inside
            inside = {name: _each(_inside, value) for name, value in options.items()}
            out = _each(_held, function(*_each(_inside, arguments), **inside))
            return return_and_correct_aliasing(function, arguments, options, out) if _aliases(function) else out

    @staticmethod
    def _check_devices(function, arguments, tensors, name):
        allowed = {id(index) for index in arguments[1] if index is not None} if function in _INDEXED else set()
        if function in _INDEXED and not isinstance(arguments[0], Held):
            allowed = set()
        for tensor in tensors:
            if not isinstance(tensor, Held) and tensor.ndim and id(tensor) not in allowed:
                raise RuntimeError(f"{name}: expected all tensors to be on the same device, but one is on the CPU.")

    @staticmethod
    def _copy(function, arguments, options):
        if function is _ATEN.copy_.default:
            _inside(arguments[0]).copy_(_inside(arguments[1]))
            return arguments[0]
        device = options.pop("device", None)
        device = arguments[0].device if device is None else torch.device(device)
        with torch.inference_mode(False):
            copy = function(_inside(arguments[0]), **options)
            return _held(copy) if device == DEVICE else copy


@cache
def _of_others(function):
    """Whether a step is made of other steps."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(function.name(), "CompositeImplicitAutograd")


@cache
def _aliases(function):
    """Whether what a step returns shares memory with what it was given."""
    return any(value.alias_info is not None for value in function._schema.returns)


def _tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _each(action, value):
    return type(value)(_each(action, part) for part in value) if isinstance(value, list | tuple) else action(value)


def _inside(value):
    return value.inside if isinstance(value, Held) else value


def _held(value):
    return Held(value) if isinstance(value, torch.Tensor) and not isinstance(value, Held) else value
