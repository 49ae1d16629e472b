"""Somebody else's file of ``torch.save``: tensors and plain values are read, harmless objects beside them passed over.

Torch's own reader of weights alone does the reading. It makes no object but tensors and containers; where the file
names another class, and the file scan holds that class to be harmless, an empty stand-in takes its place.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch

from toadstone.data.pickles import check_tame
from toadstone.errors import ToadstoneError
from toadstone.files import InPieces, check_zip
from toadstone.scan.formats.names import verdict

_OLD_PICKLES = 5  # a file of torch < 1.6 is a magic number, a protocol, the system, the object, the storages' names
_AS_TEXT = ("GLOBAL", "INST")
_PROTOCOL = 2  # of torch.save
_WAY_ON = "ask for the weights as safetensors or as a plain state dict"


class Skipped:
    """Stands in for an object that was not loaded; its class has that object's name and module."""

    def __new__(cls, *_args: object, **_settings: object) -> Skipped:
        return object.__new__(cls)

    def __init__(self, *_args: object, **_settings: object) -> None:
        """Nothing is kept."""

    def __setstate__(self, _state: object) -> None:
        """Nothing is kept."""

    @classmethod
    def name(cls) -> str:
        """Where the object's class lives."""
        return f"{cls.__module__}.{cls.__qualname__}"


def read_pickled(path: Path) -> Any:
    """The content of a file of ``torch.save``: tensors, plain values, containers, and ``Skipped`` for the rest.

    Raises ToadstoneError where the file would run code, names a class that is not known to be harmless, or is made to
    harm its reader; whatever torch raises for one that is damaged.
    """
    names = sorted(set(_names(path)))
    _check_harmless(path, names)
    stands: list[Any] = [_stand_in(module, name) for module, name in names]
    with torch.serialization.safe_globals(stands), path.open("rb") as file:  # by its content, not by its name
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ToadstoneError(
                f"path {path} is refused: it needs more than tensors and plain values to be read "
                f"({_reason(error)}); {_WAY_ON}."
            ) from error


def _names(path: Path) -> Iterator[tuple[str, str]]:
    """The (module, name) of every import of the file's pickles, each of which is first found to be tame.

    Raises ToadstoneError for a pickle of a protocol that torch's reader of weights does not know.
    """
    if zipfile.is_zipfile(path):
        check_zip(path)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.lower().endswith("data.pkl"):
                    body = b"".join(iter(InPieces(archive, name).read, b""))
                    check_tame(body, path, atoms=False)
                    yield from _imports(body, path)
    else:
        with path.open("rb") as file:
            for _ in range(_OLD_PICKLES):
                begins = file.tell()
                check_tame(file, path, atoms=False)
                file.seek(begins)
                yield from _imports(file, path)


def _imports(body: bytes | BufferedReader, path: Path) -> Iterator[tuple[str, str]]:
    for op, argument, _ in pickletools.genops(body):
        if op.name == "PROTO" and argument != _PROTOCOL:
            raise ToadstoneError(
                f"path {path} is refused: its pickle is of protocol {argument}, of which torch reads no weights alone; "
                f"{_WAY_ON}, or for a file of torch.save with its own protocol, {_PROTOCOL}."
            )
        if op.name in _AS_TEXT:
            module, _, name = str(argument).partition(" ")
            yield NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))


def _check_harmless(path: Path, names: list[tuple[str, str]]) -> None:
    """Raise ToadstoneError for the first name that the file scan would not let pass, dangers before strangers."""
    unknown = ""
    for module, name in names:
        rule, what = verdict(module, name, _PROTOCOL)
        if rule == "pickle-code":
            raise ToadstoneError(
                f"path {path} is refused: loading it would execute code that its author chose (it imports "
                f"{module}.{name}, which {what}); {_WAY_ON}."
            )
        unknown = unknown or (f"{module}.{name}" if rule else "")
    if unknown:
        raise ToadstoneError(
            f"path {path} is refused: it holds more than weights (it imports {unknown}, which is not known to be "
            "harmless); save model.state_dict() alone, or the weights as safetensors."
        )


def _stand_in(module: str, name: str) -> Any:
    """What takes the place of a class or function of that name: containers that the reader fills stay containers."""
    if (module, name) == ("collections", "defaultdict"):
        stand: Any = _empty_dict
    elif (module, name) == ("collections", "deque"):
        stand = _plain_list
    else:
        return type(name, (Skipped,), {"__module__": module, "__qualname__": name})

    def made(*args: Any) -> Any:
        return stand(*args)

    made.__module__, made.__qualname__ = module, name  # torch goes by these two
    return made


def _empty_dict(*_factory: object) -> OrderedDict[Any, Any]:
    return OrderedDict()


def _plain_list(items: Any = (), *_length: object) -> list[Any]:
    return list(items)


def _reason(error: Exception) -> str:
    """The sentence of torch's answer that says what it stumbled on."""
    said = str(error)
    for word in ("Unsupported operand", "Can only", "Trying to", "Unsupported global"):
        if word in said:
            return said[said.index(word) :].split("\n", maxsplit=1)[0].split(". ", maxsplit=1)[0].rstrip(". ")
    return type(error).__name__
