"""Saving and loading: safetensors and JSON of our own models, state dicts of somebody else's; never a pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from toadstone import environment
from toadstone.errors import ToadstoneError
from toadstone.files import check_plain, new_folder, one_line, reading, writing
from toadstone.models.encode import Encode
from toadstone.models.formats import is_torchs, other_format
from toadstone.models.nets import Net, PreActResNet
from toadstone.models.pickled import read_pickled
from toadstone.models.torch_model import TorchModel
from toadstone.registry import from_spec, to_spec


def save(model: TorchModel, folder: str | os.PathLike[str]) -> Path:
    """Write ``weights.safetensors`` and ``model.json`` into a new folder, all or nothing.

    Raises ToadstoneError when the folder exists or when the net is not a registered one.
    """
    folder = Path(folder)
    if folder.exists():
        raise ToadstoneError(f"folder {folder} exists already: choose another or remove it.")
    if not isinstance(model, TorchModel) or model.design is None:
        raise ToadstoneError(
            "model was not built from a registered net, so it cannot be rebuilt: save its state dict yourself."
        )
    spec = {
        "design": to_spec(model.design),
        "feature_layer": model.feature_layer,
        "encode": to_spec(model.encode),
        "classes": list(model.classes),
    }
    with writing(folder), new_folder(folder) as draft:
        save_file({k: v.contiguous() for k, v in model.net.state_dict().items()}, draft / "weights.safetensors")
        (draft / "model.json").write_text(json.dumps(spec, indent=1))
    return folder


def load(folder: str | os.PathLike[str]) -> TorchModel:
    """The model that ``save`` wrote. Raises ToadstoneError when a file is missing, damaged or does not fit."""
    folder = Path(folder)
    with reading(f"folder {folder}", "holds no whole toadstone model", "save it again"):
        check_plain(folder / "model.json")
        spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        design, encode, classes = from_spec(spec["design"]), from_spec(spec["encode"]), spec["classes"]
        if not isinstance(design, Net) or not isinstance(encode, Encode) or not _are_names(classes):
            raise ToadstoneError(
                f"folder {folder} holds no whole toadstone model: design, encode or classes is another thing."
            )
        check_plain(folder / "weights.safetensors")
        weights = load_file(folder / "weights.safetensors")
        _check_fits(design, encode.shape, len(classes), weights)
        net = design.build(encode.shape, len(classes))
        net.load_state_dict(weights)
        net.get_submodule(spec["feature_layer"])
        return TorchModel(net.eval().to(environment.device()), spec["feature_layer"], encode, tuple(classes), design)


def _are_names(classes: object) -> bool:
    return isinstance(classes, list) and all(isinstance(name, str) for name in classes)


def _check_fits(design: Net, shape: tuple[int, ...], classes: int, weights: dict[str, Tensor]) -> None:
    """Raise unless the net has just these weights: before it is built, for a spec may ask for any number of them."""
    if isinstance(design, PreActResNet) and sum(design.depth) > len(weights):
        raise ValueError("its design has more blocks than there are weights")
    with torch.device("meta"):
        design.build(shape, classes).load_state_dict(weights, assign=True)


def load_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """A state dict from ``.safetensors`` or ``.pt``/``.pth``, read without running any code in it.

    Raises ToadstoneError when the file is missing, damaged, of another library, holds more than a state dict, or needs
    its pickle to be executed.
    """
    content = read_content(path)
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise ToadstoneError(one_line(f"path {path} holds no plain state dict: save model.state_dict() alone."))
    return content


def read_content(path: str | os.PathLike[str]) -> Any:
    """Whatever a file of weights holds, as ``read_pickled`` reads it; of safetensors their dict.

    Raises ToadstoneError when the file is missing, damaged, of another library, or needs its pickle to be executed.
    """
    path = Path(path)
    with reading(f"path {path}", "cannot be read as weights"):
        there = path.is_file()
        safe = there and _is_safetensors(path)
        if not safe and (there or path.is_dir()) and (other := other_format(path)) is not None:
            raise ToadstoneError(f"path {path} cannot be read as weights: {other}.")
        if not there:
            raise ToadstoneError(f"path {path} is not a file.")
        named = path.suffix == ".safetensors" and not is_torchs(path)
        return load_file(path) if safe or named else read_pickled(path)


def _is_safetensors(path: Path) -> bool:
    """By its head, a length and a JSON object; its name may be another."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size
