"""Specs in, records out: the same experiment again, and what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from toadstone.core import Data
from toadstone.data import Splits, load, split
from toadstone.errors import ToadstoneError
from toadstone.experiments import old
from toadstone.experiments.experiment import Experiment, run
from toadstone.experiments.federated import FederatedExperiment
from toadstone.experiments.label_noise import LabelNoise
from toadstone.experiments.provenance import fingerprint
from toadstone.experiments.record import Record
from toadstone.registry import from_spec

KINDS = (Experiment, FederatedExperiment, LabelNoise)
_WORDS = ("reason", "not_applicable", "failed")  # sentences, which a later version may word differently
_LATER = ("largest_class",)  # figures that older records lack


def checked_object(spec: object) -> Mapping[str, Any]:
    """``spec``, which ToadstoneError refuses where it is not a JSON object."""
    if not isinstance(spec, Mapping):
        raise ToadstoneError('spec is not a JSON object: it holds "data", "split" and "experiment".')
    return spec


def prepare(spec: object) -> tuple[Any, Splits | Data]:
    """The experiment and the data that a spec {"data": ..., "split": ..., "experiment": ...} describes.

    "experiment" may also name a "federated-experiment", or a "label-noise", which has no "split". Raises
    ToadstoneError for anything else.
    """
    spec = checked_object(spec)
    if old.is_old_spec(spec):
        old.warn("The spec")
        spec = old.new_spec(spec)
    for key in ("data", "experiment"):
        if not isinstance(spec.get(key), Mapping):
            raise ToadstoneError(f'spec lacks the object {key!r}: it holds "data", "split" and "experiment".')
    if "not_registered" in spec["experiment"]:
        raise ToadstoneError(f"spec cannot be rebuilt: {spec['experiment']['not_registered']}")
    experiment = from_spec({"name": "experiment", **spec["experiment"]})
    if not isinstance(experiment, KINDS):
        raise ToadstoneError('spec\'s "experiment" describes something else than an experiment.')
    if not isinstance(spec["data"].get("name_or_path"), str):
        raise ToadstoneError('spec\'s "data" needs a text under "name_or_path": a data set\'s name or a path.')
    parts = spec.get("split", {})
    if not isinstance(parts, Mapping) or not all(isinstance(value, int | float | None) for value in parts.values()):
        raise ToadstoneError('spec\'s "split" must be an object of numbers, such as {"test": 400, "clean": 600}.')
    try:
        data = load(**spec["data"])
        return experiment, data if isinstance(experiment, LabelNoise) else split(data, **parts)
    except TypeError as error:
        raise ToadstoneError(f'spec\'s "data" or "split" has a setting that does not exist: {error}.') from error


def replay(record: Record) -> tuple[Record, list[str]]:
    """A new record of the same experiment, and one line for each figure that differs.

    Raises ToadstoneError when the record does not name the source of its data, or when the data have changed.
    """
    if "data" not in record.info["spec"]:
        raise ToadstoneError(
            "record was made from data in memory, so it cannot be replayed: load them by name or path."
        )
    experiment, data = prepare(record.info["spec"])
    if fingerprint(data) != record.info["data"]["fingerprint"]:
        raise ToadstoneError("record was made from other data than what loads now: the fingerprints differ.")
    again = run(experiment, data)
    old = _figures(record)
    return again, list(differences(old, _measured_then(_figures(again), old)))


def _figures(record: Record) -> dict[str, Any]:
    """Everything that must be the same again: without seconds, and sentences only as present or absent."""
    rounds = {side: [_without(r, "seconds") for r in history] for side, history in record.series.items()}
    return _wordless(record.results) | ({"rounds": rounds} if rounds else {})


def _measured_then(new: Any, old: Any) -> Any:
    """The new figures, without those that were not measured yet when ``old`` was made."""
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return new
    return {key: _measured_then(inner, old.get(key)) for key, inner in new.items() if key in old or key not in _LATER}


def _wordless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: bool(inner) if key in _WORDS else _wordless(inner) for key, inner in value.items()}
    return value


def _without(one: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != key}


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """One line for each leaf of two JSON values that differs; floats may differ by 1e-9 relative.

    >>> list(differences({"a": 1, "b": [2.0]}, {"a": 1, "b": [2.5]}))
    ['b.0: 2.0 was, 2.5 is']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(a, b, f"{where}.{i}".lstrip("."))
    elif not (old == new or (_number(old) and _number(new) and math.isclose(old, new, rel_tol=1e-9))):
        yield f"{where}: {old} was, {new} is"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
