"""`toadstone train` and `toadstone attack`: one stage at a time, on anybody's data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from toadstone.cli.options import Device, Json, Label, Seed, Source, TextColumn, Trainer, built, echo_json, free


def train(
    data: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the model.")],
    trainer: Trainer = '{"name": "train"}',
    label: Label = None,
    text: TextColumn = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train a net on a data set, test it on held-out rows, save it as safetensors and JSON.

    Example: `toadstone train mnist -o model --trainer '{"name": "train", "net": {"name": "small-cnn"}, "epochs": 4}'`
    """
    from toadstone.data import load, split
    from toadstone.errors import ToadstoneError
    from toadstone.evaluation.rates import accuracy
    from toadstone.models import TorchModel, save

    free(out, "out")
    make = built(trainer, "trainer")
    parts = split(load(data, label=label, text=text), seed=seed)
    model = make.fit(parts.train, seed=seed)
    if not isinstance(model, TorchModel):
        raise ToadstoneError("trainer makes no torch model: only those can be saved without a pickle.")
    rate = accuracy(model, parts.test)
    save(model, out)
    if as_json:
        echo_json({"clean_accuracy": rate.value, "low": rate.low, "high": rate.high, "model": str(out)})
    else:
        typer.echo(f"clean accuracy {rate.value:.2%} [{rate.low:.2%}, {rate.high:.2%}]\nmodel: {out}")


def attack(
    data: Source,
    spec: Annotated[str, typer.Argument(help="JSON spec of an attack, or a file that holds one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New .npz file for the poisoned data.")],
    label: Label = None,
    text: TextColumn = None,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Poison a data set; write it with the truth (which rows, what goal) beside it.

    The file has x, y, classes and poisoned (a mask), and `toadstone` loads it again by its path.

    Example: `toadstone attack digits '{"name": "backdoor", "trigger": {"name": "patch"}, "target": 7}' -o poisoned.npz`
    """
    from dataclasses import asdict

    from toadstone.data import load
    from toadstone.evaluation.cost import attack_cost
    from toadstone.experiments.showcase import storable

    free(out, "out")
    plant = built(spec, "spec")
    clean = load(data, label=label, text=text)
    poison = plant.poison(clean, seed=seed)
    poisoned = poison.apply(clean)
    _save(out, x=storable(poisoned.x[:]), y=poisoned.y, classes=clean.classes, poisoned=poison.mask(len(clean)))
    cost = asdict(attack_cost(clean, poison))
    if as_json:
        echo_json({**cost, "data": str(out)})
    else:
        typer.echo(f"{cost['rows']} of {len(poisoned)} rows poisoned ({cost['rate']:.2%})\ndata: {out}")


def _save(out: Path, **columns: Any) -> None:
    """An .npz file, whole or not at all."""
    import numpy as np

    scratch = out.with_name(f".{out.name}.part")
    with scratch.open("wb") as file:
        np.savez_compressed(file, **columns)
    scratch.rename(out)
