"""Every reader, with what it reads."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hostile.arrays import npz_seeds, npz_special, yale_seeds, yale_special
from hostile.chat_templates import template_seeds, template_special
from hostile.containers import Files
from hostile.hub import hub_seeds, hub_special
from hostile.known import (
    cifar_seeds,
    cifar_special,
    enron_seeds,
    enron_special,
    idx_seeds,
    idx_special,
    imdb_seeds,
    rt_seeds,
    sst2_seeds,
)
from hostile.mixed_formats import archives_seeds, archives_special, polyglots_seeds, polyglots_special
from hostile.model_formats import gguf_seeds, gguf_special, graphs_seeds, graphs_special, keras_seeds, keras_special
from hostile.nets import model_seeds, model_special
from hostile.pictures import gtsrb_seeds, gtsrb_special, images_seeds, images_special
from hostile.records import audit_seeds, json_files, record_seeds, record_special, spec_seeds
from hostile.scripts import notebooks_seeds, notebooks_special, scripts_seeds, scripts_special
from hostile.settings import bundles_seeds, bundles_special, settings_seeds, settings_special
from hostile.tables import (
    csv_seeds,
    csv_special,
    house_seeds,
    parquet_seeds,
    parquet_special,
    spambase_seeds,
    spambase_special,
)
from hostile.text_formats import tokenizer_seeds, tokenizer_special, yaml_seeds, yaml_special
from hostile.weights import checkpoint_seeds, pt_seeds, pt_special, safetensors_seeds, safetensors_special


@dataclass(frozen=True)
class Reader:
    """``files`` are valid, ``read`` gets the folder that they, mutated, were written to."""

    files: Callable[[], Files]
    read: Callable[[Path], object]
    special: Callable[[], dict[str, Files]] = field(default=dict)
    environment: bool = False  # the folder is TOADSTONE_DATA


def _load(name: str, **columns: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from toadstone.data import load

        return load(folder / name, **columns)

    return read


def _known(name: str) -> Callable[[Path], object]:
    def read(_: Path) -> object:
        from toadstone.data import load

        return load(name)

    return read


def _call(module: str, function: str, *, many: bool = False) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        found: Any = importlib.import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
        path = next((p for p in sorted(folder.iterdir())), folder / "case")
        return found([path] if many else path)

    return read


def _first(folder: Path) -> object:
    """Load whatever lies in the folder first."""
    from toadstone.data import load, tabular

    path = min(folder.iterdir(), default=folder / "case")
    return load(path, **({"label": "label"} if tabular.is_table(path) else {}))


def _fitted(folder: Path) -> object:
    """The weights of a checkpoint in a net, whatever is around them."""
    import torch

    from toadstone.models.fitting import fit
    from toadstone.models.foreign import contents

    net = torch.nn.Module()
    for name, shape in (("w", (2, 3)), ("b", (2,))):
        net.register_parameter(name, torch.nn.Parameter(torch.zeros(shape)))
    return fit(net, contents(min(folder.iterdir(), default=folder / "case")))


def _read_spec(folder: Path) -> object:
    from toadstone.attacks import Backdoor
    from toadstone.cli.options import built
    from toadstone.core import Trainer

    path = min(folder.iterdir(), default=folder / "case")
    return built(str(path), "spec", Trainer if path.name.startswith("net") else Backdoor)


_audited = _call("toadstone.scan.files", "audit_files", many=True)
_AUDITED: dict[str, tuple[Callable[[], Files], Callable[[], dict[str, Files]]]] = {
    "torch": (pt_seeds, pt_special),
    "safetensors": (safetensors_seeds, safetensors_special),
    "npz": (npz_seeds, npz_special),
    "gguf": (gguf_seeds, gguf_special),
    "graphs": (graphs_seeds, graphs_special),
    "keras": (keras_seeds, keras_special),
    "templates": (template_seeds, template_special),
    "tokenizers": (tokenizer_seeds, tokenizer_special),
    "yaml": (yaml_seeds, yaml_special),
    "settings": (settings_seeds, settings_special),
    "bundles": (bundles_seeds, bundles_special),
    "archives": (archives_seeds, archives_special),
    "polyglots": (polyglots_seeds, polyglots_special),
}
READERS = {
    "npz": Reader(npz_seeds, _first, npz_special),
    "parquet": Reader(parquet_seeds, _first, parquet_special),
    "csv": Reader(csv_seeds, _first, csv_special),
    "images": Reader(images_seeds, _first, images_special),
    **({"hub": Reader(hub_seeds, _first, hub_special)} if find_spec("datasets") else {}),
    "idx": Reader(partial(idx_seeds, False), _known("mnist"), environment=True),
    "idx.gz": Reader(partial(idx_seeds, True), _known("mnist"), idx_special, environment=True),
    "cifar-py": Reader(partial(cifar_seeds, "py"), _known("cifar10"), cifar_special, environment=True),
    "cifar-bin": Reader(partial(cifar_seeds, "bin"), _known("cifar10"), environment=True),
    "sst2": Reader(sst2_seeds, _known("sst2"), environment=True),
    "enron": Reader(enron_seeds, _known("enron"), enron_special, environment=True),
    "imdb": Reader(imdb_seeds, _known("imdb"), environment=True),
    "rt-polarity": Reader(rt_seeds, _known("rt-polarity"), environment=True),
    "gtsrb": Reader(gtsrb_seeds, _known("gtsrb"), gtsrb_special, environment=True),
    "yale-faces": Reader(yale_seeds, _known("yale-faces"), yale_special, environment=True),
    "spambase": Reader(spambase_seeds, _known("spambase"), spambase_special, environment=True),
    "house": Reader(house_seeds, _known("house"), environment=True),
    "safetensors": Reader(safetensors_seeds, _call("toadstone.models.storage", "load_weights"), safetensors_special),
    "pt": Reader(pt_seeds, _call("toadstone.models.storage", "load_weights"), pt_special),
    "model": Reader(model_seeds, _call("toadstone.models.storage", "load"), model_special),
    "record": Reader(record_seeds, _call("toadstone.experiments.record", "Record.load"), record_special),
    "audit": Reader(audit_seeds, _call("toadstone.findings", "Audit.load"), json_files),
    "spec": Reader(spec_seeds, _read_spec, json_files),
    "checkpoint": Reader(checkpoint_seeds, _fitted, pt_special),
    **{f"files-{kind}": Reader(seeds, _audited, special) for kind, (seeds, special) in _AUDITED.items()},
    "code-scripts": Reader(scripts_seeds, _call("toadstone.scan.code", "audit_code"), scripts_special),
    "code-notebooks": Reader(notebooks_seeds, _call("toadstone.scan.code", "audit_code"), notebooks_special),
}
