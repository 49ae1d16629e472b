"""Records and specs of older versions, converted to the current form."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from toadstone.experiments.cells import ATTACK, MODEL, SIDES, Cell, value_of

KINDS = ("detectors", "inspectors", "repairs", "monitors")
_OLD_NAME = "bezoar"  # the key of the library's version in records made before version 0.2
# name -> {field as it was: field as it is}
_FIELDS = {
    "alfa": {"c": "C"},
    "alfa-tilt": {"c": "C"},
    "back-gradient": {"points": "count"},
    "bullseye-polytope": {"poisons": "count"},
    "convex-polytope": {"poisons": "count"},
    "correlated-clusters": {"c": "C"},
    "feature-collision": {"poisons": "count", "lr": "step_size"},
    "label-flips": {"which": "variant"},
    "optimal-points": {"points": "count"},
}
_UNIT_LR = ("bullseye-polytope", "convex-polytope")  # whose lr was a share of the pixels' range, now grey levels


class OldFormatWarning(UserWarning):
    """A file has the form of an older version."""


def warn(what: str) -> None:
    """Warn that ``what`` has an older form."""
    warnings.warn(
        f"{what} has the form of an older version: it is read as the new one.", OldFormatWarning, stacklevel=3
    )


def is_old_spec(spec: Mapping[str, Any]) -> bool:
    """Whether a spec has one list of defenses per kind, the key "federated", or a field under its old name."""
    return _is_old_form(spec) or new_fields(spec) != spec


def _is_old_form(spec: Mapping[str, Any]) -> bool:
    experiment = spec.get("experiment")
    return "federated" in spec or (isinstance(experiment, Mapping) and any(kind in experiment for kind in KINDS))


def new_fields(spec: Any) -> Any:
    """The same JSON with the fields of every object in it under their current names and in current units.

    >>> new_fields({"name": "convex-polytope", "poisons": 5, "lr": 0.04})
    {'name': 'convex-polytope', 'count': 5, 'lr': 10.2}
    """
    if isinstance(spec, list):
        return [new_fields(value) for value in spec]
    if not isinstance(spec, Mapping):
        return spec
    name = spec.get("name")
    names = _FIELDS.get(name, {}) if isinstance(name, str) else {}
    fields = {names.get(key, key): new_fields(value) for key, value in spec.items()}
    if name in _UNIT_LR and "poisons" in spec and "lr" in spec:
        fields["lr"] = float(f"{255 * spec['lr']:.12g}")
    return fields


def opened(spec: Any, what: str) -> Any:
    """The spec of an object with current fields; where it has older ones, a warning begins with ``what``."""
    new = new_fields(spec)
    if new != spec:
        warn(what)
    return new


def new_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The same spec with one list of defenses, every kind of run under "experiment", and current field names."""
    return new_fields(_new_form(spec) if _is_old_form(spec) else spec)


def _new_form(spec: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in spec.items() if key not in ("experiment", "federated", "seed")}
    if "federated" in spec:
        settings, seed = {"name": "federated", **spec["federated"]}, spec.get("seed", 0)
        return {**rest, "experiment": {"name": "federated-experiment", "settings": settings, "seed": seed}}
    experiment = dict(spec["experiment"])
    defenses = [*experiment.pop("defenses", ())]
    for kind in KINDS:
        defenses += experiment.pop(kind, ())
    return {**spec, "experiment": {**experiment, "defenses": defenses}}


def new_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """The info of an old record, without its figures."""
    content = {key: value for key, value in info.items() if key not in ("results", "rounds", "clean_twin", _OLD_NAME)}
    content["toadstone"] = info.get("toadstone", info.get(_OLD_NAME))
    if is_old_spec(content.get("spec", {})):
        content["spec"] = new_spec(content["spec"])
    return content


def cells_of(results: Mapping[str, Any], attack: str = "attack") -> Iterator[Cell]:
    """The cells of the nested figures that records held in version 1."""
    if results.get("cost"):
        yield Cell(attack, ATTACK, "poisoned", dict(results["cost"]))
    for side in SIDES:
        if side in results:
            yield _cell("as trained", MODEL, side, results[side])
    for kind in KINDS:
        for name, sides in results.get(kind, {}).items():
            for side, result in sides.items():
                yield _cell(name, kind.removesuffix("s"), side, result)


def _cell(name: str, contract: str, side: str, result: Mapping[str, Any]) -> Cell:
    if "not_applicable" in result:
        return Cell(name, contract, side, status="not applicable", sentence=str(result["not_applicable"]))
    figures = {key: value_of(value) for key, value in result.items() if key not in ("reason", "rows")}
    return Cell(name, contract, side, figures, sentence=str(result.get("reason", "")))
