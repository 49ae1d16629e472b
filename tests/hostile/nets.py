"""Models in the library's own folders."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hostile.containers import Files, files_below


def model_seeds() -> Files:
    import torch

    from toadstone.models import save
    from toadstone.models.encode import Pixels
    from toadstone.models.nets import PreActResNet
    from toadstone.models.torch_model import TorchModel

    design, encode = PreActResNet(2, (1, 1)), Pixels(8, 8)
    torch.manual_seed(0)
    model = TorchModel(design.build(encode.shape, 3), design.feature_layer, encode, ("a", "b", "c"), design)
    with tempfile.TemporaryDirectory() as scratch:
        save(model, Path(scratch) / "case")
        return files_below(Path(scratch))


def model_special() -> dict[str, Files]:
    seeds = model_seeds()
    spec = json.loads(seeds["case/model.json"])
    told = {name: json.dumps({**spec, **changes}).encode() for name, changes in {**_designs(spec), **_others()}.items()}
    return {name: {**seeds, "case/model.json": body} for name, body in {**told, **_texts()}.items()}


def _designs(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Descriptions of nets that are too large, or of none."""
    changes: dict[str, dict[str, Any]] = {
        "wide": {"width": 2**20},
        "wider": {"width": 10**5},
        "widest": {"width": 2**70},
        "negative": {"width": -1},
        "deep": {"depth": [10**9]},
        "deep in many stages": {"depth": [1] * 10**4},
        "no depth": {"depth": 3},
        "half a width": {"width": 1.5},
    }
    whole: dict[str, Any] = {
        "a large cnn": {"name": "small-cnn", "width": 50_000, "hidden": 50_000},
        "a large mlp": {"name": "mlp", "hidden": [60_000, 60_000]},
        "an attack": {"name": "label-flip"},
        "an unknown design": {"name": "no\nsuch\x1b[2J"},
        "no name": {"a": 1},
        "a list": [1],
        "a list for a name": {"name": ["small-cnn"]},
    }
    whole.update({name: {**spec["design"], **change} for name, change in changes.items()})
    return {name: {"design": design} for name, design in whole.items()}


def _others() -> dict[str, dict[str, Any]]:
    large = {"name": "pixels", "height": 10**5, "width": 10**5, "channels": 3}
    return {
        "a large picture": {"encode": large, "design": {"name": "mlp", "hidden": [1000]}},
        "classes as text": {"classes": "abc"},
        "classes as numbers": {"classes": [1, 2, 3]},
        "classes as an object": {"classes": {"a": 1, "b": 2, "c": 3}},
        "a layer": {"feature_layer": "no.such"},
        "a layer of numbers": {"feature_layer": 3},
        "another kind of rows": {"encode": {"name": "words", "vocabulary": ["a"]}},
    }


def _texts() -> dict[str, bytes]:
    return {
        "nested": b"[" * 100_000,
        "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "nested design": b'{"design":' + b"[" * 900 + b"]" * 900 + b',"encode":1}',
        "digits": b'{"design": ' + b"9" * 10_000 + b"}",
        "not utf-8": b'{"design": "\xff"}',
        "marked": b"\xef\xbb\xbf{}",
    }
