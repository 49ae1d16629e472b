"""Somebody else's net and weights, behind the Model contract, whatever range and layout it takes."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from toadstone.models.fitting import fit
from toadstone.models.heads import Head, Headed, float32, is_plain, read_head, settled, unwrapped
from toadstone.models.layers import before_last_linear
from toadstone.models.nets import Net
from toadstone.models.storage import read_content
from toadstone.models.torch_model import TorchModel, device_of, evaluating, handful
from toadstone.registry import contract_of, entry, from_spec

Layout = Literal["channels-first", "channels-last"]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_GREY = ((0.1307,), (0.3081,))  # MNIST's, the usual ones for grey images
_TAKES = "check the layout, or wrap it in a torch.nn.Module that takes images (n, channels, height, width)"
_PROBED = 256  # clean rows that an answer is read on
_ASKED = 16  # rows that a net answers twice
_SAME = 1e-3  # by which answers to the same rows may differ


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
    """``net`` for images (n, c, h, w) in 0..1, its answer as logits."""

    def __init__(self, net: nn.Module, takes: Takes, head: Head | None = None) -> None:
        super().__init__()
        self.net, self.takes, self.head = net, takes, head or Head()
        span = torch.tensor([takes.high - takes.low]).view(1, -1, 1, 1)
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (takes.mean, takes.std))
        self.register_buffer("scale", span / std, persistent=False)
        self.register_buffer("offset", (takes.low - mean) / std, persistent=False)

    def extra_repr(self) -> str:
        return str(self.takes) if self.head == Head() else f"{self.takes}; {self.head}"

    def raw(self, x: Tensor) -> Any:
        """What ``net`` itself returns."""
        x = x * self.scale + self.offset  # type: ignore[operator]
        return self.net(x.permute(0, 2, 3, 1) if self.takes.layout == "channels-last" else x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head.ask(self.raw, x)


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


def adapt(
    net: nn.Module,
    clean: Data,
    takes: Takes | None = None,
    layer: str | None = None,
    classes: Sequence[str] | None = None,
) -> TorchModel:
    """A torch module as a model of the rows of ``clean``; the module itself stays as it is.

    What it returns is read on the clean rows: a tensor in a tuple, a dict or an object, logits, probabilities, one
    number for two classes. ``classes`` names its outputs, in order; without, they are the classes of ``clean``, or the
    numbers of the outputs where ``clean`` names some of these.

    Raises ToadstoneError for other rows than uint8 images and where no tensor of the answer fits the classes.
    """
    encode = fit_encode(clean)
    if encode.modality != "image":
        raise ToadstoneError(
            "a torch module can be audited on uint8 images only: wrap it as a TorchModel for other rows."
        )
    for values in (takes.mean, takes.std) if takes else ():
        if len(values) not in (1, encode.shape[0]):
            raise ToadstoneError(f"input_range has {len(values)} channels but the images have {encode.shape[0]}.")
    names = tuple(classes or clean.classes)
    if len(set(names)) < len(names):
        raise ToadstoneError("classes has a name twice: each output has one of its own.")
    adapted = _adapted(settled(net), takes)
    found = _read(adapted, encode, clean, len(names))
    if found is None:  # it may count on its own precision
        other = _adapted(settled(net, single=False), takes)
        found = _read(other, encode, clean, len(names))
        adapted = adapted if found is None else other
    if found is not None:
        adapted.head, count = found
        names = names_of(count, names, users_net(adapted))
    notes = () if adapted.head == Head() else (f"The net's answer: {adapted.head}.",)
    return TorchModel(adapted, f"net.{layer}" if layer else representation(adapted), encode, names, notes=notes)


def _adapted(net: nn.Module, takes: Takes | None) -> Adapted:
    made = Adapted(net, takes or Takes()).to(device_of(net))
    made.training = False
    return made


def _read(net: Adapted, encode: Encode, clean: Data, classes: int) -> tuple[Head, int] | None:
    """How the net's answer to clean rows is read; None where it cannot take them, which ``answer`` reports."""
    try:
        out, rows = ask(net, net.raw, encode, clean)
    except ToadstoneError:
        raise
    except Exception:  # a stranger's forward fails in many ways
        return None
    return read_head(out, rows, classes)


def ask(net: nn.Module, forward: Callable[[Tensor], Any], encode: Encode, clean: Data) -> tuple[Any, int]:
    """(what ``forward`` makes of some clean rows, in evaluation mode and with its gradients; how many rows)."""
    x = encode(np.asarray(handful(clean.x, _PROBED))).to(device_of(net))
    x.requires_grad_(x.is_floating_point())
    with evaluating(net), torch.enable_grad():
        return forward(x), len(x)


def as_logits(model: TorchModel, clean: Data) -> TorchModel:
    """``model`` with a net that answers with logits in single precision: the same one where its own does so already.

    Raises ToadstoneError where no tensor of its answer fits the classes.
    """
    net = float32(unwrapped(model.net))
    if net is not model.net:
        own = dict(net.named_modules())
        layer = next((each for each in _shorter(model.feature_layer) if each in own), representation(net))
        model = replace(model, net=net, feature_layer=layer)
    try:
        out, rows = ask(net, net, model.encode, clean)
    except Exception:  # ``answer`` says it in a sentence
        return model
    head, count = read_head(out, rows, len(model.classes))
    if is_plain(out, head) or count != len(model.classes):
        return model
    note = f"The net's answer: {head}."
    return replace(
        model,
        net=Headed(net, head),
        feature_layer=f"net.{model.feature_layer}",
        design=None,
        notes=(*model.notes, note),
    )


def _shorter(layer: str) -> Iterator[str]:
    """A layer's name, then without its first words."""
    words = layer.split(".")
    for i in range(len(words)):
        yield ".".join(words[i:])


def users_net(net: nn.Module) -> nn.Module:
    """The net as its owner knows it, out of what this module put around it."""
    while isinstance(net, Adapted | Headed):
        net = net.net
    return net


def names_of(count: int, names: Sequence[str], net: nn.Module | None = None) -> tuple[str, ...]:
    """The names of a net's outputs: ``names`` where there are as many, those in its Hugging Face configuration, or the
    outputs' numbers where ``names`` are some of these.

    Raises ToadstoneError where none of them suit.
    """
    if count == len(names):
        return tuple(names)
    told = getattr(getattr(net, "config", None), "id2label", None) or {}
    known = tuple(str(told.get(i, told.get(str(i)))) for i in range(count))
    numbers = tuple(map(str, range(count)))
    for suit in (known, numbers):
        if {_number(name) for name in names} <= {_number(name) for name in suit}:
            return suit
    raise ToadstoneError(
        f"the net answers ({count},) a row but clean has {len(names)} classes: give the names of its outputs in their "
        f"order as classes, or name the classes of clean by the number of the output, 0 to {count - 1}."
    )


def among(clean: Data, classes: Sequence[str]) -> Data:
    """The rows with their labels as places among ``classes``, of which they may have some alone.

    Raises ToadstoneError where a class of ``clean`` is none of them, or two are the same one.
    """
    places = {_number(name): i for i, name in enumerate(classes)}
    if len(clean.classes) == len(classes) and {_number(name) for name in clean.classes} != set(places):
        return clean  # as many under other names are taken in the order that they have
    missing = [name for name in clean.classes if _number(name) not in places]
    if missing or len({_number(name) for name in clean.classes}) < len(clean.classes):
        what = f"{missing[0]!r} is none of them" if missing else "two of them are the same one"
        raise ToadstoneError(
            f"model has {len(classes)} classes but clean has {len(clean.classes)}, and {what}: name the classes of "
            "clean as the model's are named."
        )
    order = np.array([places[_number(name)] for name in clean.classes])
    if len(order) == len(classes) and (order == np.arange(len(order))).all():
        return clean
    return replace(clean, y=order[clean.y], classes=tuple(classes), source=None)


def _number(name: str) -> str:
    """'007' and '7' are one class."""
    return str(int(name)) if name.isascii() and name.isdigit() else name


def representation(net: nn.Module) -> str:
    """The name of the leaf before the last Linear; of the last leaf where there is none."""
    leaves: list[str] = [name for name, m in net.named_modules() if name and not list(m.children())]
    if not leaves:
        raise ToadstoneError("net has no layers.")
    return before_last_linear(net, leaves) or leaves[-1]


def load_stranger(  # noqa: PLR0913
    net: str,
    weights: str | os.PathLike[str],
    clean: Data,
    *,
    pixels: Any = (0, 1),
    layout: str = "channels-first",
    classes: Sequence[str] | None = None,
    part: str | None = None,
) -> TorchModel:
    """Somebody else's model of the rows of ``clean``, which may be of some of its classes alone.

    ``net`` is the name or JSON spec of a registered net, or "package.module:factory", which is imported, also from the
    current folder, and called without arguments: that runs the code it names, so name your own. ``weights`` are
    safetensors or a file of ``torch.save``, read without running anything in it; what training scripts put around the
    weights is taken off, and ``part`` names the dict of those that are meant where there are several. ``pixels`` is
    what the net takes: (low, high), or (means, deviations) of pixels in 0..1. ``classes`` are the names of its outputs,
    in order, where those of ``clean`` are not all of them. ``notes`` of the model say what was taken off.

    Raises ToadstoneError for a net that is not there, weights that are refused or do not fit, and bad settings.
    """
    takes = Takes(layout=cast(Layout, layout), **input_range(pixels))
    encode = fit_encode(clean)
    module, layer = build(net, encode, len(classes or clean.classes))
    told = fit(module, contents(weights), part)
    model = adapt(module.to(environment.device()), clean, takes, layer, classes)
    answer(model, among(clean, model.classes))
    read = (f"How the file was read: {'; '.join(told)}.",) if told else ()
    return replace(model, notes=(*read, *model.notes))


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
        with _current_folder():
            module = getattr(importlib.import_module(place), attribute)()
    except Exception as error:  # the user's own code, which may fail in any way
        hint = f": write {place[:-3].replace('/', '.')}:{attribute}" if place.endswith(".py") else ""
        raise ToadstoneError(f"net {name!r} could not be made ({type(error).__name__}: {error}){hint}.") from error
    if not isinstance(module, nn.Module):
        raise ToadstoneError(f"net {name!r} makes a {type(module).__name__}: let it return a torch.nn.Module.")
    return module


@contextmanager
def _current_folder() -> Iterator[None]:
    """Modules of the current folder can be imported: after all others, or a file beside hostile weights could take the
    place of an installed package."""
    here = os.getcwd()
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)


def contents(path: str | os.PathLike[str]) -> Any:
    """What a file of weights holds.

    Raises ToadstoneError for TorchScript, which holds code, and for whatever ``read_content`` refuses.
    """
    path = Path(path)
    with reading(f"path {path}", "cannot be read as weights"):  # is_zipfile too raises, where an archive has parts
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as members:
                if any("/code/" in name or name.endswith("constants.pkl") for name in members.namelist()):
                    raise ToadstoneError(f"{path} is TorchScript, which holds code: save model.state_dict() instead.")
    return read_content(path)


def answer(model: TorchModel, clean: Data) -> None:
    """Raise ToadstoneError unless the model answers rows of ``clean`` with one finite number a class, the same ones
    each time."""
    rows = handful(clean.x, _ASKED)
    try:
        logits = model.logits(rows)
    except ToadstoneError:
        raise
    except Exception as error:  # a stranger's forward fails in many ways; all mean that it does not take these rows
        first, other = str(error).splitlines()[0] if str(error) else type(error).__name__, better_input(model, clean)
        hint = _TAKES if other is None else f"with {other[0]} it would be right on {other[1].value:.0%}"
        raise ToadstoneError(f"the net does not take rows like those of clean ({first}): {hint}.") from error
    if logits.shape != (len(rows), len(model.classes)):
        raise ToadstoneError(f"the net answers {logits.shape[1:]} a row but clean has {len(model.classes)} classes.")
    if not np.isfinite(logits).all():
        raise ToadstoneError("the net answers with NaN or infinite numbers: the weights or the input range are wrong.")
    if np.abs(model.logits(rows) - logits).max() > _SAME * (1 + np.abs(logits).max()):
        raise ToadstoneError(
            "the net answers the same rows differently each time, also in evaluation mode: let dropout and noise "
            "follow it, as F.dropout(x, training=self.training) does."
        )


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
        rate = _accuracy(_with_head(replace(model, net=net, feature_layer=representation(net)), clean), clean)
        if rate.low > now.high and (best is None or rate.value > best[1].value):
            best = takes, rate
    return best


def _with_head(model: TorchModel, clean: Data) -> TorchModel:
    """The model with its answer read anew: with another input it may be another one."""
    assert isinstance(model.net, Adapted)
    try:
        found = _read(model.net, model.encode, clean, len(model.classes))
    except ToadstoneError:
        return model
    model.net.head = model.net.head if found is None else found[0]
    return model


def _accuracy(model: TorchModel, clean: Data) -> Rate:
    """The accuracy; 0 where the net cannot take the rows, which it says in many ways."""
    try:
        return accuracy(model, clean)
    except Exception:
        return Rate.of(0, len(clean))
