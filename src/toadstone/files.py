"""Files: any error of a decoder becomes one sentence, and new files are written whole or not at all."""

from __future__ import annotations

import gzip
import math
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from toadstone.errors import ToadstoneError

FREE = 1 << 25
"""Bytes that any file may unpack to."""

RATIO = 50
"""A file that unpacks to more than ``FREE`` bytes may grow by at most this factor."""

_CHUNK = 1 << 20
_LETTERS = 380  # of a message
_DETAIL = 120  # of what a decoder said


@contextmanager
def reading(
    path: str | os.PathLike[str], fault: str = "cannot be read", mend: str = "mend or fetch it again"
) -> Iterator[None]:
    """Any exception inside becomes a ToadstoneError of one printable line, "path fault (reason): mend."

    A ToadstoneError keeps its message. Warnings of decoders are not shown.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ToadstoneError as error:
        if one_line(str(error)) == str(error):
            raise
        raise ToadstoneError(one_line(str(error))) from error
    except Exception as error:  # decoders raise all kinds of errors
        raise ToadstoneError(
            one_line(f"{_short(str(path), 2 * _DETAIL)} {fault} ({_reason(error)}): {mend}.")
        ) from error


def one_line(message: str) -> str:
    r"""The message as one line, without control characters, the middle left out where it is long.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return _short("".join(map(_printable, _short(message, 2 * _LETTERS))), _LETTERS)


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def _short(text: str, letters: int) -> str:
    tail = letters // 3
    return text if len(text) <= letters else f"{text[: letters - tail - 5]} ... {text[-tail:]}"


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _short(" ".join(message.split()).rstrip("."), _DETAIL) or type(error).__name__


def check_plain(path: Path) -> None:
    """Raise ToadstoneError unless ``path`` is a file with a length: opening a pipe waits, a device has no end."""
    if path.exists() and not path.is_file():
        raise ToadstoneError(f"{path} is a folder, a pipe or a device: give a plain file.")


def check_unpacked(name: str | Path, packed: int, size: int) -> None:
    """Raise ToadstoneError where ``packed`` bytes would unpack to a ``size`` out of all proportion, or too large."""
    if size > max(FREE, RATIO * packed):
        raise ToadstoneError(
            f"{name} has {packed:,} bytes but would unpack to {size:,} or more, over {RATIO} times as many, as files "
            "made to fill the memory do: save it uncompressed."
        )
    if size > _memory():
        raise ToadstoneError(
            f"{name} would unpack to {size:,} bytes, more than this machine's memory: make it smaller."
        )


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: half a surrogate pair, as in a name of stray bytes, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _memory() -> float:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # other systems
        return float("inf")


def check_zip(path: Path) -> None:
    """Raise ToadstoneError where the members of a zip would together unpack to too much, by the sizes it declares."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ToadstoneError(f"{path} is packed by a rare method: save it again, deflated or uncompressed.")
    check_unpacked(path, path.stat().st_size, sum(member.file_size for member in members))


class InPieces:
    """A zip's member that unpacks a little at a time, where ``zipfile`` would unpack everything at once."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.member = archive.open(name)

    def read(self, size: int = _CHUNK) -> bytes:
        """At most ``size`` bytes, none at the end."""
        return self.member.read(min(size, _CHUNK))


def read_bytes(path: Path) -> bytes:
    """The whole of a file, unpacked when its name ends in .gz; ToadstoneError when it is missing or damaged."""
    with reading(path, mend="fetch it again"):
        check_plain(path)
        packed = path.stat().st_size
        if path.suffix.lower() != ".gz":
            check_unpacked(path, packed, packed)
            return path.read_bytes()
        out = bytearray()
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK):
                out += chunk
                check_unpacked(path, packed, len(out))
        return bytes(out)


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: numpy scalars as Python's, and None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A draft to write, which becomes ``path`` at the end of the block: the file is there whole, or as it was before.

    A run that is killed leaves at most a hidden folder beside it. OSError where the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".toadstone-") as scratch:
        draft = Path(scratch) / path.name
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` at the end of the block, whole or not at all; see ``new_place``."""
    with new_place(path, replace=replace) as draft:
        draft.mkdir()
        yield draft


@contextmanager
def new_place(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A name for a file or a folder to make, which becomes ``path`` at the end of the block, whole or not at all.

    With ``replace`` it takes the place of one that is there; without, a folder that somebody else has filled in the
    meantime stays. OSError then, and where the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".toadstone-") as scratch:
        draft, old = Path(scratch) / "new" / path.name, Path(scratch) / "old"
        draft.parent.mkdir()
        yield draft
        if replace and os.path.lexists(path):
            path.rename(old)
        elif draft.is_file() and os.path.lexists(path):
            raise FileExistsError(f"{path} is there by now")
        try:
            draft.rename(path)
        except OSError:
            if os.path.lexists(old):
                old.rename(path)
            raise


@contextmanager
def set_aside(path: Path) -> Iterator[None]:
    """``path`` is not there inside of the block; it comes back where the block fails, and is gone where it does not."""
    if not os.path.lexists(path):
        yield
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".toadstone-") as scratch:
        old, failed = Path(scratch) / "old", Path(scratch) / "failed"
        path.rename(old)
        try:
            yield
        except BaseException:
            if os.path.lexists(path):
                path.rename(failed)
            old.rename(path)
            raise


RESULTS = ("audit.json", "report.html", "findings.parquet", "cleaned", "cleaned.*")
"""What an audit leaves in its folder, the answer first: without it the rest belongs to no finished audit."""


def remove_results(folder: Path) -> list[str]:
    """Remove what an earlier audit left in ``folder``, which would belong to another answer; what could not be removed.

    Nothing else in the folder is touched, the stages of a run neither.
    """
    lost = []
    for place in [place for name in RESULTS for place in sorted(folder.glob(name))]:
        try:
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        except OSError as error:
            lost.append(f"{place} is of an earlier audit and cannot be removed ({error.strerror or error}).")
    return lost


def place_within(path: Path, root: Path) -> bool:
    """Whether ``path``, which need not exist, is ``root`` or lies inside it, also through links."""
    if not root.exists():
        return False
    here = Path(os.path.realpath(path))
    return any(place.exists() and place.samefile(root) for place in (here, *here.parents))


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """An OSError inside becomes a ToadstoneError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise ToadstoneError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file, all or nothing; ToadstoneError that names it where that cannot be done."""
    path = Path(path)
    with writing(path), new_file(path) as draft:
        draft.write_bytes(content)
    return path
