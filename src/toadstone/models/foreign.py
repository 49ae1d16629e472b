"""Somebody else's net and weights, behind the Model contract, whatever range and layout it takes."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from toadstone import environment
from toadstone.core import Data, Rate
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.fields import Filled, Finite, Positive, checked
from toadstone.files import reading
from toadstone.models.encode import Encode, fit_encode
from toadstone.models.layers import before_last_linear
from toadstone.models.nets import Net
from toadstone.models.storage import load_weights
from toadstone.models.torch_model import TorchModel, device_of
from toadstone.registry import contract_of, entry, from_spec

Layout = Literal["channels-first", "channels-last"]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_GREY = ((0.1307,), (0.3081,))  # MNIST's, the usual ones for grey images
_NAMED = 3  # keys that do not fit that a sentence names


@checked
@dataclass(frozen=True)
class Takes:
    """What a net takes: pixels from ``low`` to ``high``, or, with ``mean`` and ``std`` (one or one a channel),
    pixels of 0..1 less the mean over the deviation."""

    low: Finite = 0.0
    high: Finite = 1.0
    layout: Layout = "channels-first"
    mean: Filled[Finite] = (0.0,)
    std: Filled[Positive] = (1.0,)

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ToadstoneError(
                f"input_range is {self.low:g}..{self.high:g}: the second number must be the larger one."
            )
        if len(self.mean) != len(self.std):
            raise ToadstoneError("input_range with means and deviations needs as many of each.")

    def __str__(self) -> str:
        scaled = any(self.mean) or any(s != 1 for s in self.std)
        pixels = f"mean {self.mean} and deviation {self.std}" if scaled else f"{self.low:g}..{self.high:g}"
        return f"{pixels}, {self.layout}"


class Adapted(nn.Module):
    """``net`` for images (n, c, h, w) in 0..1."""

    def __init__(self, net: nn.Module, takes: Takes) -> None:
        super().__init__()
        self.net, self.takes = net, takes
        span = torch.tensor([takes.high - takes.low]).view(1, -1, 1, 1)
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (takes.mean, takes.std))
        self.register_buffer("scale", span / std, persistent=False)
        self.register_buffer("offset", (takes.low - mean) / std, persistent=False)

    def extra_repr(self) -> str:
        return str(self.takes)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.scale + self.offset  # type: ignore[operator]
        out = self.net(x.permute(0, 2, 3, 1) if self.takes.layout == "channels-last" else x)
        return out if isinstance(out, Tensor) else getattr(out, "logits", out)  # as Hugging Face's nets answer


def input_range(value: Any) -> dict[str, Any]:
    """``value``, (low, high) or ((means), (deviations)), as fields of Takes; ToadstoneError for anything else."""
    try:
        first, second = value
        if np.ndim(first) == 0:
            return {"low": float(first), "high": float(second)}
        return {"mean": tuple(map(float, first)), "std": tuple(map(float, second))}
    except (TypeError, ValueError):
        raise ToadstoneError(
            f"input_range is {value!r}: give two numbers, such as (0, 1), or means and deviations, one a channel."
        ) from None


def adapt(net: nn.Module, clean: Data, takes: Takes | None = None, layer: str | None = None) -> TorchModel:
    """A torch module as a model of the rows and classes of ``clean``."""
    encode = fit_encode(clean)
    if encode.modality != "image":
        raise ToadstoneError(
            "a torch module can be audited on uint8 images only: wrap it as a TorchModel for other rows."
        )
    for values in (takes.mean, takes.std) if takes else ():
        if len(values) not in (1, encode.shape[0]):
            raise ToadstoneError(f"input_range has {len(values)} channels but the images have {encode.shape[0]}.")
    adapted = Adapted(net, takes or Takes()).eval().to(device_of(net))
    return TorchModel(adapted, f"net.{layer}" if layer else representation(adapted), encode, clean.classes)


def representation(net: nn.Module) -> str:
    """The name of the leaf before the last Linear; of the last leaf where there is none."""
    leaves: list[str] = [name for name, m in net.named_modules() if name and not list(m.children())]
    if not leaves:
        raise ToadstoneError("net has no layers.")
    return before_last_linear(net, leaves) or leaves[-1]


def load_stranger(
    net: str,
    weights: str | os.PathLike[str],
    clean: Data,
    *,
    pixels: Any = (0, 1),
    layout: str = "channels-first",
) -> TorchModel:
    """Somebody else's model of the rows and classes of ``clean``.

    ``net`` is the name or JSON spec of a registered net, or "package.module:factory", which is imported and called
    without arguments: that runs the code it names, so name your own. ``weights`` are safetensors or a ``.pt`` file
    with a state dict, read without running anything in it. ``pixels`` is what the net takes: (low, high), or (means,
    deviations) of pixels in 0..1.

    Raises ToadstoneError for a net that is not there, weights that are refused or do not fit, and bad settings.
    """
    takes = Takes(layout=cast(Layout, layout), **input_range(pixels))
    encode = fit_encode(clean)
    module, layer = build(net, encode, len(clean.classes))
    fit(module, state(weights))
    model = adapt(module.to(environment.device()), clean, takes, layer)
    answer(model, clean)
    return model


def build(net: str, encode: Encode, classes: int) -> tuple[nn.Module, str | None]:
    """(an untrained module, the name of its feature layer where that is known)."""
    if ":" in net and not net.lstrip().startswith("{"):
        return _factory(net), None
    try:
        design = from_spec(json.loads(net)) if net.lstrip().startswith("{") else entry(net).cls()
    except ValueError as error:
        raise ToadstoneError(
            f"net is no JSON ({error}): give a registered name, a spec or package.module:factory."
        ) from error
    if contract_of(design) != "net":
        raise ToadstoneError(f"net {net!r} is not a net: `toadstone list` shows those that are registered.")
    assert isinstance(design, Net)
    if encode.modality not in design.takes:
        raise ToadstoneError(f"net {net!r} reads {' or '.join(design.takes)}, not {encode.modality}.")
    return design.build(encode.shape, classes), design.feature_layer


def _factory(name: str) -> nn.Module:
    place, _, attribute = name.partition(":")
    try:
        module = getattr(importlib.import_module(place), attribute)()
    except Exception as error:  # the user's own code, which may fail in any way
        raise ToadstoneError(f"net {name!r} could not be made ({type(error).__name__}: {error}).") from error
    if not isinstance(module, nn.Module):
        raise ToadstoneError(f"net {name!r} makes a {type(module).__name__}: let it return a torch.nn.Module.")
    return module


def state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a file, out of the wrappers that training scripts put around it.

    Raises ToadstoneError for TorchScript, which holds code, and for whatever ``load_weights`` refuses.
    """
    path = Path(path)
    with reading(f"path {path}", "cannot be read as weights"):  # is_zipfile too raises, where an archive has parts
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as members:
                if any("/code/" in name or name.endswith("constants.pkl") for name in members.namelist()):
                    raise ToadstoneError(f"{path} is TorchScript, which holds code: save model.state_dict() instead.")
    weights = _state_dict(path)
    while weights and all(key.startswith("module.") for key in weights):  # DataParallel puts one in front of each
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    return weights


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        return load_weights(path)
    except ToadstoneError as error:
        if "holds no plain state dict" not in str(error):  # it could be read, but is more than a state dict
            raise
        content = torch.load(path, map_location="cpu", weights_only=True)  # it was read this way just now: no code runs
        for key in ("state_dict", "model_state_dict", "model", "net"):
            inner = content.get(key) if isinstance(content, dict) else None
            if isinstance(inner, dict) and inner and all(isinstance(v, Tensor) for v in inner.values()):
                return dict(inner)
        raise


def fit(net: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put the weights into ``net``; ToadstoneError that names the first ones that do not fit."""
    own = net.state_dict()
    missing, unexpected = [k for k in own if k not in weights], [k for k in weights if k not in own]
    shapes = [
        f"{k} is {tuple(weights[k].shape)} and not {tuple(own[k].shape)}"
        for k in own
        if k in weights and weights[k].shape != own[k].shape
    ]
    for words, keys in (("lack", missing), ("have, beyond the net's,", unexpected), ("have another shape:", shapes)):
        if keys:
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            raise ToadstoneError(f"weights do not fit the net: they {words} {', '.join(keys[:_NAMED])}{more}.")
    net.load_state_dict(weights)


def answer(model: TorchModel, clean: Data) -> None:
    """Raise ToadstoneError unless the model answers a row of ``clean`` with one finite number a class."""
    try:
        logits = model.logits(clean.x[:2])
    except ToadstoneError:
        raise
    except Exception as error:  # a stranger's forward fails in many ways; all mean that it does not take these rows
        first, other = str(error).splitlines()[0] if str(error) else type(error).__name__, better_input(model, clean)
        hint = "check the layout" if other is None else f"with {other[0]} it would be right on {other[1].value:.0%}"
        raise ToadstoneError(f"the net does not take rows like those of clean ({first}): {hint}.") from error
    if logits.shape != (min(2, len(clean)), len(clean.classes)):
        raise ToadstoneError(f"the net answers {logits.shape[1:]} a row but clean has {len(clean.classes)} classes.")
    if not np.isfinite(logits).all():
        raise ToadstoneError("the net answers with NaN or infinite numbers: the weights or the input range are wrong.")


def _others(model: TorchModel) -> Iterator[Takes]:
    channels = model.encode.shape[0]
    mean, std = _IMAGENET if channels == 3 else _GREY
    ranges: tuple[dict[str, Any], ...] = ({}, {"high": 255.0}, {"low": -1.0}, {"mean": mean, "std": std})
    for fields, layout in itertools.product(ranges, get_args(Layout)):
        yield Takes(layout=layout, **fields)


def better_input(model: TorchModel, clean: Data) -> tuple[Takes, Rate] | None:
    """(what the net seems to take instead, the accuracy that it then has), where the intervals do not overlap with
    that of ``model`` as it is; None where nothing else is better."""
    inner, own = (model.net.net, model.net.takes) if isinstance(model.net, Adapted) else (model.net, Takes())
    now, best = _accuracy(model, clean), None
    for takes in _others(model):
        if takes == own:
            continue
        net = Adapted(inner, takes).to(model.device)
        rate = _accuracy(replace(model, net=net, feature_layer=representation(net)), clean)
        if rate.low > now.high and (best is None or rate.value > best[1].value):
            best = takes, rate
    return best


def _accuracy(model: TorchModel, clean: Data) -> Rate:
    """The accuracy; 0 where the net cannot take the rows, which it says in many ways."""
    try:
        return accuracy(model, clean)
    except Exception:
        return Rate.of(0, len(clean))
