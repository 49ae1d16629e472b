"""The model of an audit, mended, and what that did to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from toadstone.audit.model import INSPECTOR, ModelAudit
from toadstone.core import Repair
from toadstone.defenses.model.fine_pruning import FinePruning
from toadstone.defenses.model.reference_cleanse import effect, halves
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.findings import Finding
from toadstone.models.torch_model import TorchModel
from toadstone.registry import name_of
from toadstone.rng import child


def repair_model(result: ModelAudit, repair: Repair | None = None) -> ModelAudit:
    """``result`` with a new model, mended with the rows that no trigger was fitted to.

    ``repair`` is any repair, with what the inspector found at hand; None is fine-pruning that may cost 1% of the
    accuracy, or 3 rows. ``facts["repair"]`` has the accuracy and the success of each accused class's trigger, before
    and after, on the rows that were not used to mend it, and the repair's own log. The model stays as it was.

    Raises ToadstoneError for a model without weights to change, for too few rows, and where the repair does.
    """
    model, (test, tune) = result.model, halves(result.clean, INSPECTOR.rows, seed=result.seed)
    if not isinstance(model, TorchModel):
        raise ToadstoneError(f"model is a {type(model).__name__}: a repair changes weights, give a torch module.")
    repair = FinePruning(bound=max(0.01, 3 / len(tune))) if repair is None else repair
    mended = repair.repair(model, tune, evidence=result.inspection, seed=child(result.seed, "repair"))
    if not isinstance(mended.model, TorchModel):
        raise ToadstoneError(f"repair made a {type(mended.model).__name__}: take one that makes a torch model.")
    figures: dict[str, Any] = {"method": _name(repair), "rows": len(test)}
    for when, each in (("before", model), ("after", mended.model)):
        figures[f"accuracy_{when}"] = accuracy(each, test).value
        for c in result.accused:
            figures[f"trigger_{when}_class_{c}"] = effect(each, result.triggers[c], test, c).value
    note = Finding("repaired", "model", _sentence(result, figures), "note", detail=figures)
    facts = {**result.audit.facts, "repair": {**figures, "log": mended.log}}
    audit = replace(result.audit, findings=(*result.audit.findings, note), facts=facts)
    return replace(result, audit=audit, repaired=mended.model)


def _name(repair: Repair) -> str:
    try:
        return name_of(repair)
    except ToadstoneError:  # somebody's own
        return type(repair).__name__


def _sentence(result: ModelAudit, figures: Mapping[str, Any]) -> str:
    sides = {"the accuracy": "accuracy_{}"}
    sides |= {f"the trigger of class {result.clean.classes[c]}": f"trigger_{{}}_class_{c}" for c in result.accused}
    changes = [
        f"{what} goes from {figures[key.format('before')]:.1%} to {figures[key.format('after')]:.1%}"
        for what, key in sides.items()
    ]
    name = figures["method"]
    return (
        f"{name[:1].upper()}{name[1:]}: on {figures['rows']} clean rows that it did not use, {' and '.join(changes)}."
    )
