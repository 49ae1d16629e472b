"""Poisoned data in the form in which the clean ones came, and the truth about them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toadstone.core import Attack, Data, Poison
from toadstone.data.delimited import form, is_delimited
from toadstone.data.tabular import is_table, read_noted
from toadstone.errors import ToadstoneError
from toadstone.experiments.planted_tables import write_arrow, write_lines
from toadstone.experiments.showcase import storable
from toadstone.experiments.written import Written
from toadstone.files import new_folder, plain, write_whole, writing
from toadstone.registry import to_spec


def check_form(clean: Data, out: Path) -> None:
    """Raise ToadstoneError where rows such as ``clean`` cannot be written as the name ``out`` asks for."""
    pictures = clean.x.dtype == np.uint8 and clean.x.ndim in (3, 4)
    if out.suffix == "" and not pictures:
        raise ToadstoneError(f"out {out} is a folder, which is for pictures: name a .csv, .parquet or .npz file.")
    if is_table(out) and clean.x.ndim > 2:
        raise ToadstoneError(f"out {out} is a table, but the rows are of shape {clean.x.shape[1:]}: name an .npz file.")
    if out.suffix and not is_table(out) and out.suffix.lower() != ".npz":
        raise ToadstoneError(
            f"out {out} ends in {out.suffix!r}: name a .csv, .tsv, .parquet or .npz file, or a folder."
        )


def write_rows(written: Written, out: Path) -> Path:
    """The rows as ``out``: pictures in folders of classes, a table, or an .npz with x, y, classes and ``poisoned``, the
    mask of the changed ones. What did not change is as it was, byte by byte where the form is the same."""
    check_form(written.clean, out)
    if out.suffix == "":
        return _folder(written, out)
    if out.suffix.lower() == ".npz":
        return _npz(written, out)
    path = written.path
    if path is not None and is_delimited(out) and is_delimited(path) and form(out) == form(path):
        return write_lines(written, path, out)
    return write_arrow(written, out)


def truth(attack: Attack, clean: Data, poison: Poison, *, seed: int) -> dict[str, Any]:
    """What an attack did, in JSON values: the rows, numbered as in the file, with their labels before and after."""
    written = Written.of(clean, poison)
    index = np.asarray(poison.index)
    total = len(written.data) if "row" not in clean.meta else _rows_in_file(written)
    rows = np.where(index < len(clean), written.file_rows[index], total - len(written.data) + index)
    old = [_label(clean, clean.y[i]) if i < len(clean) else None for i in index]
    return {
        "rows": rows.tolist(),
        "old_labels": old,
        "new_labels": [_label(clean, y) for y in poison.y],
        "goal": _spec(poison.goal),
        "spec": _spec(attack),
        "seed": seed,
        "data": dict(clean.source or {}),
    }


def files_of(clean: Data, poison: Poison) -> list[str]:
    """The names of the poisoned pictures where they are written as a folder, in the order of the truth's rows."""
    return [_file(clean, int(y), int(i)) for i, y in zip(poison.index, poison.y, strict=True)]


def _file(data: Data, y: int, row: int) -> str:
    return f"{data.classes[y]}/{row:06}.png"


def write_truth(told: Mapping[str, Any], place: Path) -> Path:
    """The truth as JSON."""
    return write_whole(place, json.dumps(plain(told), indent=1).encode())


def _spec(value: Any) -> Any:
    try:
        return to_spec(value)
    except ToadstoneError:  # it holds arrays, such as a learnt trigger
        return {"name": type(value).__name__}


def _label(data: Data, y: Any) -> Any:
    return data.classes[int(y)] if data.classes else float(y)


def _rows_in_file(written: Written) -> int:
    """Rows of the poisoned file: those of the clean one, also without labels, and the new ones."""
    table = read_noted(written.path)[0] if written.path is not None else None
    before = len(written.clean) if table is None else table.num_rows
    return before + int((written.origin < 0).sum())


def _npz(written: Written, out: Path) -> Path:
    data, file = written.data, io.BytesIO()
    x = storable(np.asarray(data.x[:]))
    np.savez_compressed(file, x=x, y=data.y, classes=np.array(data.classes), poisoned=written.changed)
    return write_whole(out, file.getvalue())


def _folder(written: Written, out: Path) -> Path:
    from PIL import Image  # noqa: PLC0415 (only images need it)

    data, path = written.data, written.path
    where = written.clean.meta.get("where")
    with writing(out), new_folder(out) as draft:
        for name in data.classes:
            (draft / name).mkdir()
        for i, (y, origin) in enumerate(zip(data.y.tolist(), written.origin.tolist(), strict=True)):
            if path is not None and path.is_dir() and where is not None and origin >= 0 and not written.changed[i]:
                shutil.copyfile(path / str(where[origin]), draft / str(where[origin]))
                continue
            image = np.asarray(data.x[i])
            pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
            Image.fromarray(pixels).save(draft / _file(data, y, i))
    return out
