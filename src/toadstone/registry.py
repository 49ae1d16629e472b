"""One table: name <-> class, object <-> JSON spec.

A registered class is a frozen dataclass whose fields are JSON values, tuples, or other registered objects.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from toadstone.errors import ToadstoneError
from toadstone.fields import checked

C = TypeVar("C", bound=type)

_WINGS = ("triggers", "models", "training", "federated.trainer", "attacks", "defenses", "certificates")
_TABLE: dict[str, Entry] = {}


@dataclass(frozen=True)
class Threat:
    """The threat-model card of an attack.

    - ``controls``: what the attacker changes, of "inputs", "labels", "training" and "weights".
    - ``knows``: what they must see beyond the rows they change: "data" (other training rows), "model" (a net like
      the victim's, the better the more like it), neither or both.
    - ``inference``: what they do when the model is in use: "trigger", "nothing", or a phrase.
    """

    controls: tuple[str, ...]
    knows: tuple[str, ...] = ()
    inference: str = "trigger"

    def fits(self, kind: str) -> bool:
        """Whether this attacker is of a ``kind`` in THREATS; ToadstoneError for another word."""
        if kind not in THREATS:
            raise ToadstoneError(f"There is no threat model {kind!r}: use {', '.join(THREATS)}.")
        return THREATS[kind](self)


THREATS: dict[str, Callable[[Threat], bool]] = {
    "data-only": lambda t: set(t.controls) <= {"inputs", "labels"},
    "clean-label": lambda t: set(t.controls) == {"inputs"},
    "label-only": lambda t: set(t.controls) == {"labels"},
    "black-box": lambda t: "model" not in t.knows and set(t.controls) <= {"inputs", "labels"},
    "training": lambda t: "training" in t.controls,
    "weights": lambda t: "weights" in t.controls,
    "no-trigger": lambda t: t.inference == "nothing",
}


@dataclass(frozen=True)
class Entry:
    """What the table knows of one algorithm; ``needs`` are words such as "labels", "features", "gradients"."""

    name: str
    contract: str
    cls: type
    needs: tuple[str, ...]
    threat: Threat | None = None

    @property
    def side(self) -> str:
        """The wing it lives in: attacks, defenses, triggers, models, training ..."""
        return self.cls.__module__.split(".")[1]

    @property
    def stage(self) -> str:
        """data, training, model, federated or inference for an attack or a defense; else the wing."""
        path = self.cls.__module__.split(".")
        return path[2] if path[1] in ("attacks", "defenses") and len(path) > 3 else path[1]

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (inspect.getdoc(self.cls) or "").split("\n")[0]

    @property
    def paper(self) -> str:
        """Title or authors, venue and identifier: the first line of the class's or module's docstring that cites."""
        heads = (self.summary, (inspect.getdoc(inspect.getmodule(self.cls)) or "").split("\n\n")[0])
        return next((" ".join(head.split()) for head in heads if re.search(r"\b(19|20)\d\d\b", head)), "")

    @property
    def parameters(self) -> dict[str, Any]:
        """Field name -> default; a field without a default maps to dataclasses.MISSING."""
        return {
            f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
            for f in dataclasses.fields(self.cls)
        }


def register(contract: str, *, needs: tuple[str, ...] = (), threat: Threat | None = None) -> Callable[[C], C]:
    """Class decorator: enter a frozen dataclass under its name in kebab case; an attack has a ``threat`` card."""

    def enter(cls: C) -> C:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()
        if name in _TABLE and _TABLE[name].cls.__module__ != cls.__module__:
            raise RuntimeError(f"{name!r} is registered twice: {_TABLE[name].cls} and {cls}.")
        _TABLE[name] = Entry(name, contract, cls, needs, threat)
        return checked(cls)

    return enter


def entries() -> list[Entry]:
    """Every registered algorithm, by stage and name. Imports every wing of the library."""
    for wing in _WINGS:
        package = importlib.import_module(f"toadstone.{wing}")
        for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"toadstone.{wing}."):
            importlib.import_module(module.name)
    return sorted(_TABLE.values(), key=lambda e: (e.side, e.stage, e.name))


def entry(name: str) -> Entry:
    """The entry called ``name``; ToadstoneError with the nearest names when there is none."""
    if name not in _TABLE:
        entries()
    if name not in _TABLE:
        import difflib  # noqa: PLC0415 (only on the way to an error)

        near = [n for n in _TABLE if name and name in n][:3] or difflib.get_close_matches(name, _TABLE, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else " `toadstone list` shows all names."
        raise ToadstoneError(f"Nothing is registered under the name {name!r}.{hint}")
    return _TABLE[name]


def name_of(obj: object) -> str:
    """The registered name of an object's class."""
    for found in _TABLE.values():
        if found.cls is type(obj):
            return found.name
    raise ToadstoneError(f"{type(obj).__name__} is not registered, so it has no JSON spec: decorate it with @register.")


def contract_of(obj: object) -> str | None:
    """The contract that an object's class is registered for, None for a stranger's class."""
    return next((found.contract for found in _TABLE.values() if found.cls is type(obj)), None)


def to_spec(value: Any) -> Any:
    """A JSON value that ``from_spec`` turns back into an equal object; an object becomes {"name": ..., fields}."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [to_spec(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): to_spec(v) for k, v in value.items()}
    if dataclasses.is_dataclass(value):
        fields = {f.name: to_spec(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"name": name_of(value), **fields}
    raise ToadstoneError(f"A {type(value).__name__} cannot be written to a JSON spec; use numbers, strings or tuples.")


def from_spec(spec: Any) -> Any:
    """The object that ``to_spec`` described. Lists become tuples. Only registered classes are ever built."""
    if isinstance(spec, list):
        return tuple(from_spec(v) for v in spec)
    if not isinstance(spec, Mapping):
        return spec
    if "name" not in spec:
        return {k: from_spec(v) for k, v in spec.items()}
    found = entry(str(spec["name"]))
    unknown = set(spec) - {"name"} - set(found.parameters)
    if unknown:
        known = ", ".join(found.parameters) or "none"
        raise ToadstoneError(f"{found.name} has no parameter {sorted(unknown)[0]!r}; its parameters are: {known}.")
    needed = [k for k, default in found.parameters.items() if default is dataclasses.MISSING and k not in spec]
    if needed:
        raise ToadstoneError(f"{found.name} needs the parameter {needed[0]!r} in its spec.")
    return found.cls(**{k: from_spec(v) for k, v in spec.items() if k != "name"})
