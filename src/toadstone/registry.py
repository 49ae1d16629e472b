"""One table: name <-> class, object <-> JSON spec.

A registered class is a frozen dataclass whose fields are JSON values, tuples, or other registered objects. The
library's own classes are listed in registry.json, written by ``python -m toadstone.generate``, so that an algorithm is
listed and described without importing it. Other classes, a plugin's or a script's, are entered when imported.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from toadstone import plugins
from toadstone.errors import ToadstoneError
from toadstone.fields import checked, describe, kind_refusal

C = TypeVar("C", bound=type)

FILE = Path(__file__).with_suffix(".json")
_TABLE: dict[str, Registered] = {}  # by name, what was imported


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


class Parameter(NamedTuple):
    """What a field may hold, in words, and its default as written; ``default`` None where a spec must give it."""

    type: str
    default: str | None


@dataclass(frozen=True)
class Entry:
    """What the table knows of one algorithm; ``needs`` are words of needs.py, such as "labels" or "features".

    - ``module`` and ``class_name``: where it is written; ``cls`` imports it.
    - ``summary``: the first line of its docstring.
    - ``paper``: title or authors, venue and identifier: the first line of the class's or module's docstring that cites.
    - ``parameters``: its fields, by name.
    """

    name: str
    contract: str
    module: str
    class_name: str
    needs: tuple[str, ...]
    threat: Threat | None
    summary: str
    paper: str
    parameters: Mapping[str, Parameter] = field(hash=False)
    _cls: type[Any] | None = field(default=None, repr=False, compare=False)

    @property
    def cls(self) -> type[Any]:
        """The class, imported if necessary."""
        return self._cls or getattr(importlib.import_module(self.module), self.class_name)

    @property
    def own(self) -> bool:
        """Whether it is the library's own, not a plugin's or a script's."""
        return _own(self.module)

    @property
    def side(self) -> str:
        """The wing: attacks, defenses, triggers, models, training ...; by contract for other packages' classes."""
        return self._home[0]

    @property
    def stage(self) -> str:
        """data, training, model, federated or inference for an attack or a defense; else the wing."""
        return self._home[1]

    @property
    def _home(self) -> tuple[str, str]:
        path = self.module.split(".")
        if self.own:
            return path[1], path[2] if path[1] in ("attacks", "defenses") and len(path) > 3 else path[1]
        homes = Counter(e._home for e in _written().values() if e.contract == self.contract)
        return homes.most_common(1)[0][0] if homes else (path[0], path[0])  # a contract that the library does not have

    @property
    def description(self) -> str:
        """The whole docstring of the class, read from its file where it was not imported."""
        if self._cls:
            return inspect.getdoc(self.cls) or ""
        source = Path(__file__).parent.joinpath(*self.module.split(".")[1:]).with_suffix(".py").read_text("utf-8")
        classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
        return next((ast.get_docstring(node) or "" for node in classes if node.name == self.class_name), "")


class Registered(NamedTuple):
    """An imported class, and the arguments of its ``register``."""

    cls: type[Any]
    contract: str
    needs: tuple[str, ...] = ()
    threat: Threat | None = None

    def entry(self, name: str) -> Entry:
        """Its entry, read from the class."""
        cls, module = self.cls, sys.modules.get(self.cls.__module__)
        summary = (inspect.getdoc(cls) or "").split("\n")[0]
        heads = (summary, ((module and inspect.getdoc(module)) or "").split("\n\n")[0])
        cites = (" ".join(head.split()) for head in heads if re.search(r"\b(19|20)\d\d\b", head))
        return Entry(
            name,
            self.contract,
            cls.__module__,
            cls.__name__,
            self.needs,
            self.threat,
            summary,
            next(cites, ""),
            {f.name: _parameter(f, describe(cls)) for f in dataclasses.fields(cls)},
            cls,
        )


def _parameter(f: dataclasses.Field[Any], words: Mapping[str, str]) -> Parameter:
    default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
    kind = words.get(f.name) or (f.type if isinstance(f.type, str) else inspect.formatannotation(f.type))
    return Parameter(kind, None if default is dataclasses.MISSING else repr(default))


def register(contract: str, *, needs: tuple[str, ...] = (), threat: Threat | None = None) -> Callable[[C], C]:
    """Class decorator: enter a frozen dataclass under its name in kebab case; an attack has a ``threat`` card.

    Its verb raises NotApplicableError where an argument lacks one of its ``needs``, which are words of needs.py.
    """

    def enter(cls: C) -> C:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()
        other = _TABLE[name].cls.__module__ if name in _TABLE else None
        if other is None and not _own(cls.__module__) and name in _written():
            other = _written()[name].module
        if other not in (None, cls.__module__):
            raise RuntimeError(f"{name!r} is registered twice: by {other} and {cls.__module__}")
        if not dataclasses.is_dataclass(cls):
            raise TypeError(f"{cls.__name__} is not a dataclass: write @register above @dataclass(frozen=True)")
        from toadstone.needs import guard  # noqa: PLC0415 (a listing needs no numpy)

        guard(cls, needs)
        _TABLE[name] = Registered(cls, contract, needs, threat)
        return checked(cls)

    return enter


def _own(module: str) -> bool:
    return module.startswith("toadstone.")


@functools.cache
def _written() -> dict[str, Entry]:
    """The entries of registry.json, without importing their classes."""
    table = {}
    for name, row in json.loads(FILE.read_text("utf-8")).items():
        if card := row["threat"]:
            row["threat"] = Threat(tuple(card["controls"]), tuple(card["knows"]), card["inference"])
        row["parameters"] = {key: Parameter(*value) for key, value in row["parameters"].items()}
        table[name] = Entry(name, **{**row, "needs": tuple(row["needs"])})
    return table


def entries() -> list[Entry]:
    """Every algorithm, the library's and the plugins', by side, stage and name. Imports only the plugins.

    A plugin that cannot be imported is a PluginWarning.
    """
    plugins.load()
    table = _written() | {name: registered.entry(name) for name, registered in _TABLE.items()}
    return sorted(table.values(), key=lambda e: (e.side, e.stage, e.name))


def entry(name: str) -> Entry:
    """The entry called ``name``; ToadstoneError with the nearest names when there is none.

    Plugins are loaded for a name that the library does not have.
    """
    if name not in _TABLE and name not in _written():
        plugins.load()
    if name in _TABLE:
        return _TABLE[name].entry(name)
    if name in _written():
        return _written()[name]
    import difflib  # noqa: PLC0415 (only on the way to an error)

    names = list(dict.fromkeys([*_written(), *_TABLE]))
    near = [n for n in names if name and name in n][:3] or difflib.get_close_matches(name, names, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else " `toadstone list` shows all names."
    raise ToadstoneError(f"Nothing is registered under the name {name!r}.{hint}")


def name_of(obj: object) -> str:
    """The registered name of an object's class."""
    for name, registered in _TABLE.items():
        if registered.cls is type(obj):
            return name
    raise ToadstoneError(f"{type(obj).__name__} is not registered, so it has no JSON spec: decorate it with @register.")


def contract_of(obj: object) -> str | None:
    """The contract that an object's class is registered for, None for a class that is not registered."""
    return next((registered.contract for registered in _TABLE.values() if registered.cls is type(obj)), None)


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
    algorithm = entry(str(spec["name"]))
    unknown = set(spec) - {"name"} - set(algorithm.parameters)
    if unknown:
        names = ", ".join(algorithm.parameters) or "none"
        raise ToadstoneError(f"{algorithm.name} has no parameter {sorted(unknown)[0]!r}; its parameters are: {names}.")
    needed = [k for k, p in algorithm.parameters.items() if p.default is None and k not in spec]
    if needed:
        raise ToadstoneError(f"{algorithm.name} needs the parameter {needed[0]!r} in its spec.")
    values = {k: from_spec(v) for k, v in spec.items() if k != "name"}
    for key, value in values.items():
        if refusal := kind_refusal(algorithm.cls, key, value):
            raise ToadstoneError(f"{algorithm.name}'s {key}{refusal}: see `toadstone describe {algorithm.name}`.")
    return algorithm.cls(**values)
