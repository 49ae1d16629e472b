"""Cleaned data beside the original, in its own format, and a reader's decisions applied to them."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from toadstone.audit.data.read import load_for_audit
from toadstone.audit.data.table import read_table
from toadstone.core import Data
from toadstone.data import NAMES
from toadstone.data.arrays import part_keys, read_npz
from toadstone.data.delimited import joined, lines_of, suffix_of
from toadstone.data.hub import MARKERS
from toadstone.data.tabular import PARQUET, is_table
from toadstone.errors import ToadstoneError
from toadstone.files import new_folder, write_whole, writing
from toadstone.findings import Audit
from toadstone.models.cache import digest_rows

if TYPE_CHECKING:
    import pyarrow as pa

CLEANED = "cleaned"


def write_cleaned(data: Data, keep: Bool[ndarray, " n"], folder: Path) -> Path:
    """The rows to ``keep`` of ``data``, as ``folder``/cleaned(.csv, .npz ...), in the format that the data came in;
    npz for data that came from no file. Raises ToadstoneError that names what cannot be written."""
    source = str(dict(data.source or {}).get("name_or_path", ""))
    path = Path(source)
    if not source or source in NAMES or not path.exists():
        return _npz({}, data, keep, folder)
    if is_table(path) and path.is_file():
        return _table(path, dropped(data, keep), folder)
    if path.suffix.lower() == ".npz":
        return _npz(read_npz(path), data, keep, folder)
    if any((path / marker).is_file() for marker in MARKERS):
        return _hub(path, keep, folder)
    return _images(path, np.asarray(data.meta["where"])[keep], folder)


def dropped(data: Data, keep: Bool[ndarray, " n"]) -> ndarray:
    """The numbers, in the table that the data came from, of the rows that go."""
    rows = np.asarray(data.meta["row"]) if "row" in data.meta else np.arange(len(keep))
    return rows[~keep]


def _table(path: Path, gone: ndarray, folder: Path) -> Path:
    """The table without the rows ``gone``: text as it stands, byte by byte; Parquet with all its columns."""
    if path.suffix.lower() in PARQUET:
        from pyarrow import parquet  # noqa: PLC0415 (only tables need it)

        return write_parquet(parquet.read_table(path), gone, folder / f"{CLEANED}{path.suffix}")
    lines, dialect = lines_of(path)
    without = set((gone + 1).tolist())
    kept = [line for i, line in enumerate(lines) if i not in without]
    return write_whole(folder / f"{CLEANED}{suffix_of(path)}", joined(path, kept, dialect))


def write_parquet(table: pa.Table, gone: ndarray, place: Path) -> Path:
    """The table without the rows ``gone``."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)
    from pyarrow import parquet  # noqa: PLC0415

    keep, out = np.ones(table.num_rows, bool), io.BytesIO()
    keep[gone] = False
    parquet.write_table(table.filter(pa.array(keep)), out)
    return write_whole(place, out.getvalue())


def _npz(arrays: dict[str, ndarray], data: Data, keep: ndarray, folder: Path) -> Path:
    if arrays:
        rows, start = dict(arrays), 0
        for part, (name, labels) in part_keys(arrays).items():
            mask = keep[start : start + len(arrays[labels])]
            start += len(mask)
            beside = [k for k, a in arrays.items() if a.ndim and len(a) == len(mask) and k != "classes"]
            own = beside if part == "all" else [k for k in beside if _of_part(k, name)]
            rows |= {k: arrays[k][mask] for k in (name, labels, *own)}
    else:
        x = np.asarray(data.x[np.flatnonzero(keep)])
        rows = {"x": x.astype(str) if x.dtype == object else x, "y": data.y[keep], "classes": np.array(data.classes)}
    out = io.BytesIO()
    np.savez_compressed(out, **rows)  # type: ignore[arg-type]
    return write_whole(folder / f"{CLEANED}.npz", out.getvalue())


def _of_part(name: str, rows: str) -> bool:
    """Whether an array's name says that it is of the part whose rows are called ``rows``: more_train of x_train."""
    first, last = rows.split("_", 1)[0], rows.rsplit("_", 1)[-1]
    return name.endswith(f"_{last}") if last in _PART_WORDS else name.startswith(f"{first}_")


_PART_WORDS = ("train", "val", "valid", "dev", "test")


def _hub(path: Path, keep: ndarray, folder: Path) -> Path:
    import datasets  # noqa: PLC0415 (an extra)

    stored, start = datasets.load_from_disk(str(path)), 0
    parts = dict(stored) if isinstance(stored, datasets.DatasetDict) else {"": stored}
    chosen = {}
    for name, part in parts.items():
        chosen[name] = part.select(np.flatnonzero(keep[start : start + len(part)]))
        start += len(part)
    whole = datasets.DatasetDict(chosen) if "" not in chosen else chosen[""]
    return _folder(lambda into: whole.save_to_disk(str(into)), folder)


def _images(path: Path, where: ndarray, folder: Path) -> Path:
    def copy(into: Path) -> None:
        for name in where:
            (into / str(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path / str(name), into / str(name))

    return _folder(copy, folder)


def _folder(fill: Callable[[Path], object], folder: Path) -> Path:
    """A folder that ``fill`` fills, put in the place of one that is there."""
    place = folder / CLEANED
    with writing(place), new_folder(place, replace=True) as draft:
        fill(draft)
    return place


def apply_decisions(decisions: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Write the cleaned data of the finished audit in ``folder`` anew, as a reader decided: rows they "keep" stay,
    rows they "drop" go, flagged rows they say nothing of go as before. Nothing is computed again.

    Raises ToadstoneError for decisions that cannot be read, are neither keep nor drop, contradict each other or name
    rows that the audit does not show; and when the data are not those that were audited.
    """
    folder = Path(folder)
    facts, table = Audit.load(folder / "audit.json").facts, read_table(folder / "findings.parquet")
    words = read_decisions(decisions, set(table.column("row").to_pylist()))
    path = facts.get("path")
    if not path:
        raise ToadstoneError(f"{folder} is an audit of data that came from no file: drop the rows yourself.")
    asked = ("label", "text", "ignore", "row_id", "size")
    data = load_for_audit(path, **{key: facts[key] for key in asked if facts.get(key)})[0]
    if digest_rows(data.x)[:16] != facts.get("digest"):
        raise ToadstoneError(f"{path} has changed since it was audited: run the audit again.")
    keep = np.ones(len(data), bool)
    flagged = table.column("flagged").to_numpy(zero_copy_only=False)
    keep[table.column("row").to_numpy()[flagged]] = False
    keep[list(words)] = [word == "keep" for word in words.values()]
    if not keep.any():
        raise ToadstoneError(f"{os.fspath(decisions)} leaves no row: keep one at least.")
    return write_cleaned(data, keep, folder)


def read_decisions(path: str | os.PathLike[str], known: set[int]) -> dict[int, str]:
    """Row -> "keep" or "drop" in a CSV with the header row,decision. Raises ToadstoneError, which names the line."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ToadstoneError(f"{os.fspath(path)} cannot be read as decisions ({error}).") from error
    if not lines or [cell.strip() for cell in lines[0]] != ["row", "decision"]:
        raise ToadstoneError(f"{os.fspath(path)} must begin with the header row,decision.")
    words: dict[int, str] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        row, word = ([cell.strip() for cell in line] + ["", ""])[:2]
        at = f"{os.fspath(path)}, line {number}"
        if len(line) != 2 or word not in ("keep", "drop"):
            raise ToadstoneError(f"{at} must be a row's number and keep or drop, not {','.join(line)!r}.")
        if not row.isascii() or not row.isdigit() or int(row) not in known:
            raise ToadstoneError(f"{at} names row {row!r}, which the audit does not show.")
        if words.setdefault(int(row), word) != word:
            raise ToadstoneError(f"{at} says {word} of row {row}, of which a line before says {words[int(row)]}.")
    return words
