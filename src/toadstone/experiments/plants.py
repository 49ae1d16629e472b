"""Specs as a user writes them: class names in the place of their numbers, and triggers that suit the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.registry import entry

_CLASSES = ("target", "source")


def named_plant(spec: Any, data: Data, target: str | None = None) -> Any:
    """The spec with class numbers for class names, with ``target`` if that is given, and with a trigger that suits the
    data where the attack wants one and none is named.

    Raises ToadstoneError for a class that the data lack, and an attack that takes no target.
    """
    if not isinstance(spec, Mapping) or "name" not in spec:
        raise ToadstoneError("spec must be an attack's name or a JSON object with a name.")
    takes = entry(str(spec["name"])).parameters
    plant = _numbered(spec, data)
    if target is not None:
        if "target" not in takes:
            raise ToadstoneError(f"target is given, but {spec['name']} takes none: leave it out.")
        plant["target"] = class_number(target, data)
    if "trigger" in takes and takes["trigger"].default is None and "trigger" not in plant:
        plant["trigger"] = usual_trigger(data)
    return plant


def _numbered(spec: Any, data: Data) -> Any:
    if isinstance(spec, Mapping):
        names = {k for k, v in spec.items() if k in _CLASSES and isinstance(v, str)}
        return {k: class_number(str(v), data) if k in names else _numbered(v, data) for k, v in spec.items()}
    return [_numbered(value, data) for value in spec] if isinstance(spec, list) else spec


def class_number(name: str, data: Data) -> int:
    """The number of a class by its name; a number that names no class is itself. ToadstoneError for another word."""
    if name in data.classes:
        return data.classes.index(name)
    if name.isdigit():
        return int(name)
    names = ", ".join(data.classes[:10]) + (" ..." if len(data.classes) > 10 else "")
    raise ToadstoneError(f"target is {name!r}, which is no class: there are {names}.")


def usual_trigger(data: Data) -> dict[str, Any]:
    """A patch for pictures, a word for texts, a rare value in two columns for tables."""
    if data.x.dtype == object:
        return {"name": "insert-words"}
    if data.x.dtype == np.uint8 and data.x.ndim in (3, 4):
        return {"name": "patch"}
    if data.x.ndim != 2:
        raise ToadstoneError(f"spec names no trigger for rows of shape {data.x.shape[1:]}: give one.")
    numbers = [j for j, column in enumerate(data.columns) if column.part == "number"] or list(range(data.x.shape[1]))
    pair = numbers[:2]
    return {"name": "set-feature", "columns": pair, "values": [float(np.max(data.x[:, j])) for j in pair]}
