"""Saving and loading: safetensors and JSON of our own models, state dicts of somebody else's; never a pickle."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bezoar.errors import BezoarError
from bezoar.models.torch_model import TorchModel
from bezoar.registry import from_spec, to_spec


def save(model: TorchModel, folder: str | os.PathLike[str]) -> Path:
    """Write ``weights.safetensors`` and ``model.json`` into a new folder, all or nothing.

    Raises BezoarError when the folder exists or when the net is not a registered one.
    """
    folder = Path(folder)
    if folder.exists():
        raise BezoarError(f"folder {folder} exists already: choose another or remove it.")
    if not isinstance(model, TorchModel) or model.design is None:
        raise BezoarError(
            "model was not built from a registered net, so it cannot be rebuilt: save its state dict yourself."
        )
    spec = {
        "design": to_spec(model.design),
        "feature_layer": model.feature_layer,
        "encode": to_spec(model.encode),
        "classes": list(model.classes),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        whole = Path(scratch) / "model"
        whole.mkdir()
        save_file({k: v.contiguous() for k, v in model.net.state_dict().items()}, whole / "weights.safetensors")
        (whole / "model.json").write_text(json.dumps(spec, indent=1))
        whole.rename(folder)
    return folder


def load(folder: str | os.PathLike[str]) -> TorchModel:
    """The model that ``save`` wrote. Raises BezoarError when a file is missing, damaged or does not fit."""
    folder = Path(folder)
    try:
        spec = json.loads((folder / "model.json").read_text())
        design, encode = from_spec(spec["design"]), from_spec(spec["encode"])
        net = design.build(encode.shape, len(spec["classes"]))
        net.load_state_dict(load_file(folder / "weights.safetensors"))
        return TorchModel(net.eval(), spec["feature_layer"], encode, tuple(spec["classes"]), design)
    except BezoarError:
        raise
    except Exception as error:  # a damaged file fails in many ways; all mean the same to the caller
        raise BezoarError(f"folder {folder} holds no whole bezoar model: {error}") from error


def load_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """A state dict from ``.safetensors`` or ``.pt``/``.pth``, read without running any code in it.

    Raises BezoarError when the file is missing, damaged, or needs its pickle to be executed.
    """
    path = Path(path)
    if not path.is_file():
        raise BezoarError(f"path {path} is not a file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BezoarError(
            f"path {path} is refused: loading it would execute code that its author chose (it is a pickle that needs "
            "more than tensors); ask for the weights as safetensors or as a plain state dict."
        ) from error
    except Exception as error:  # zip, header and codec errors all mean that the file cannot be read
        raise BezoarError(f"path {path} cannot be read as weights: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise BezoarError(f"path {path} holds no plain state dict: save model.state_dict() alone.")
    return found
