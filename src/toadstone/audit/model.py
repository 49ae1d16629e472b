"""Somebody else's model: is there a backdoor in it, of which class, and what calls it up?"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image
from safetensors.torch import save
from torch import nn

from toadstone.audit.doubts import doubt, hindrance, in_words
from toadstone.checkpoints import Stages
from toadstone.core import Data, Model, Rate
from toadstone.defenses.model.blends import attraction
from toadstone.defenses.model.reference_cleanse import ReferenceCleanse, ReferenceEvidence, halves
from toadstone.defenses.model.weights import channel_outliers, last_layer
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.fields import Fraction, Share, check
from toadstone.files import write_whole
from toadstone.findings import Audit, Finding
from toadstone.models.cache import digest_model, digest_rows
from toadstone.models.foreign import adapt, among, answer, as_logits, users_net
from toadstone.models.torch_model import TorchModel
from toadstone.whitebox.reverse import Reversed

INSPECTOR = ReferenceCleanse()
_OUTLIER = 6.0  # robust deviations above which a class's weights in the last layer are worth a note

UNSEEN = (
    "Triggers that move or warp the image, differ from image to image, or are a thing in the scene, a style or a "
    "feature of the inner layers.",
    "Backdoors for rows of one source class alone, and those that send each class to another one.",
    "Backdoors that many of the classes share: a class is accused because the others differ from it.",
    "Triggers so large that natural ones are as small, patches of much more than a tenth of the image among them.",
)
CANNOT = "Any backdoor: {why}"


@dataclass(frozen=True, eq=False)
class ModelAudit:
    """The answer, what it rests on, and the reversed trigger of each class that was looked at closely.

    ``evidence`` holds an array with one entry a class for each statistic, NaN where a class was not looked at.
    ``triggers`` are by class number, ``accused`` the classes accused, the surest first. ``inspection`` is what the
    inspector says, None where it could not be asked; ``repaired`` is there once `repair_model` made it.
    """

    audit: Audit
    evidence: Mapping[str, ndarray]
    triggers: Mapping[int, Reversed]
    accused: tuple[int, ...]
    model: Model
    clean: Data
    seed: int
    inspection: ReferenceEvidence | None = None
    repaired: TorchModel | None = None

    def pictures(self, side: int = 160) -> dict[str, bytes]:
        """For each accused class (the most suspicious one where there is none) a PNG: a clean image, the trigger, the
        image with it."""
        ranked = sorted(self.triggers, key=lambda c: -float(self.evidence["index"][c]))
        shown = self.accused or tuple(ranked[:1])
        words = "class {}: a clean image, the reversed trigger on grey, and on the image"
        return {words.format(self.clean.classes[c]): _picture(self.triggers[c], self.clean, c, side) for c in shown}

    def save_repaired(self, path: str | os.PathLike[str], original: str | os.PathLike[str] | None = None) -> Path:
        """Write the repaired weights as safetensors, all or nothing.

        Raises ToadstoneError where nothing was repaired, for another ending, and where there is a file already, the
        ``original`` above all.
        """
        path = Path(path)
        if self.repaired is None:
            raise ToadstoneError("nothing was repaired: call repair_model first.")
        if path.suffix != ".safetensors":
            raise ToadstoneError(f"{path} must end in .safetensors: repaired weights are written in that format alone.")
        if path.exists() or (original is not None and path.resolve() == Path(original).resolve()):
            raise ToadstoneError(f"{path} is there already: choose another place, nothing is written over.")
        net = users_net(self.repaired.net)
        return write_whole(path, save({k: v.detach().cpu().contiguous().clone() for k, v in net.state_dict().items()}))


def audit_model(  # noqa: PLR0913
    model: Model | nn.Module,
    clean: Data,
    *,
    level: float = 0.05,
    expected_accuracy: float | None = None,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> ModelAudit:
    """Look for a backdoor in ``model`` with rows of ``clean``, which it was not trained on and which are trusted.

    For each class the smallest rectangle and the faintest change of the whole image that turn images into it are
    searched for, in the model and in two fresh nets of its design trained on clean rows. A class is accused when its
    triggers are smaller than theirs by more than the other classes' are, at a p-value of at most ``level`` corrected
    for the number of classes, and turn half of the other held-out rows. The p-value is that of Student's t with 5
    degrees of freedom; its spread and tails were set on other data, so it is as good as clean nets are alike.

    Where the accuracy is below ``expected_accuracy`` (twice chance, where not given), or another input range would
    do better, and for a model without gradients, nothing is concluded. With ``folder`` each stage is kept there.

    Raises ToadstoneError for settings out of range and rows that the model does not take.
    """
    check("level", level, Share)
    check("expected_accuracy", expected_accuracy, Fraction | None)
    model, clean = _adapted(model, clean)
    right = accuracy(model, clean)
    facts: dict[str, Any] = {"rows": len(clean), "classes": len(clean.classes), "level": level}
    facts["accuracy"] = [right.value, right.low, right.high]
    reason = doubt(model, clean, right, expected_accuracy) or hindrance(model, clean)
    if reason is not None:
        return ModelAudit(_undecided(reason, right, facts, _how(model, clean)), {}, {}, (), model, clean, seed)
    assert isinstance(model, TorchModel)
    stages = _stages(model, clean, seed, folder)
    inspection = INSPECTOR.inspect(model, clean, seed=seed, stages=stages)
    evidence = _arrays(model, clean, inspection, seed)
    accused = sorted(inspection.flagged(level), key=lambda c: float(inspection.tail[c]))
    triggers = {c: inspection.found[c] for c in inspection.looked.tolist()}
    again = {
        c: stages.arrays(f"again-{c}", partial(INSPECTOR.again, model, clean, c, triggers[c], seed=seed))
        for c in accused
    }
    findings = [_finding(clean.classes, inspection, c, again[c]) for c in accused]
    facts |= {"references": inspection.references, "classes_looked_at": len(triggers)}
    headline = " ".join(finding.text for finding in findings) or _quiet(clean.classes, inspection)
    notes = _notes(model, clean.classes, evidence)
    checked = (*_checked(inspection, right), *_how(model, clean))
    audit = Audit("model", "model", headline, (*findings, *notes), checked, UNSEEN, facts)
    audit = audit.without([f"checkpoint {what}" for what in stages.unwritten[:1]])
    return ModelAudit(audit, evidence, triggers, tuple(accused), model, clean, seed, inspection)


def _adapted(model: Model | nn.Module, clean: Data) -> tuple[Model, Data]:
    """The model as the library asks models, once it has answered to ``clean``, and these rows by its own classes."""
    if not clean.classes:
        raise ToadstoneError("clean is a regression set: an audit of a model needs classes.")
    if isinstance(model, nn.Module):
        model = adapt(model, clean)
    if not isinstance(model, Model):
        raise ToadstoneError(
            f"model is a {type(model).__name__}: give a torch module or a model with probs and classes."
        )
    clean = among(clean, model.classes)
    if isinstance(model, TorchModel):
        model = as_logits(model, clean)
        answer(model, clean)
    return model, clean


def _undecided(reason: Finding, right: Rate, facts: Mapping[str, Any], how: tuple[str, ...]) -> Audit:
    """The answer where nothing can be concluded; ``how`` says how the model was read."""
    headline = reason.text[:1].upper() + reason.text[1:]
    unchecked = (CANNOT.format(why=reason.text), *UNSEEN)
    checked = (f"Accuracy on {right.n} clean rows: {in_words(right)}.", *how)
    return Audit("model", "model", headline, (reason,), checked, unchecked, facts)


def _stages(model: TorchModel, clean: Data, seed: int, folder: str | os.PathLike[str] | None) -> Stages:
    """Stages under one name for all that they depend on."""
    if not folder:
        return Stages(None, "")
    parts = [digest_model(model), digest_rows(clean.x), digest_rows(clean.y), str(seed), repr(INSPECTOR)]
    return Stages(Path(folder), f"{hashlib.sha256(''.join(parts).encode()).hexdigest()[:32]}/")


def _arrays(model: TorchModel, clean: Data, inspection: ReferenceEvidence, seed: int) -> dict[str, ndarray]:
    """Each statistic, one number a class."""
    effects = np.array([np.nan if rate is None else rate.value for rate in inspection.effects])
    shares = attraction(model, halves(clean, INSPECTOR.rows, seed=seed)[1], seed)
    more = {"index": inspection.values, "pvalue": inspection.tail, "effect": effects, "attraction": shares}
    return {**inspection.sizes, **more}


def _quiet(classes: tuple[str, ...], inspection: ReferenceEvidence) -> str:
    least = int(np.nanargmin(inspection.tail))
    return (
        f"No backdoor of a small, fixed trigger found: of {len(classes)} classes {classes[least]} is the most "
        f"suspicious (p = {inspection.tail[least]:.2g}, corrected). Other kinds of backdoor were not looked for."
    )


def _checked(inspection: ReferenceEvidence, right: Rate) -> tuple[str, ...]:
    looked, k, count = len(inspection.looked), len(inspection.values), inspection.references
    some = "" if looked == k else f" (quickly; {looked} of them closely)"
    beside = f"{count} nets of the same design trained on clean rows" if count else "the other classes alone"
    return (
        f"Accuracy on {right.n} clean rows: {in_words(right)}.",
        f"The smallest rectangle and the faintest change of the whole image for each of {k} classes{some}, "
        f"beside {beside}.",
        "The effect of each reversed trigger on clean rows that it was not fitted to.",
        "Weights: channels that could amplify far more than others, and classes that stand out in the last layer.",
        "Which classes sums of two clean images go to.",
    )


def _how(model: Model, clean: Data) -> tuple[str, ...]:
    """How a stranger's model was read, and which of its classes it was asked about."""
    notes = model.notes if isinstance(model, TorchModel) else ()
    seen, k = int((clean.counts() > 0).sum()), len(clean.classes)
    return notes if seen == k else (*notes, f"The clean rows are of {seen} of the model's {k} classes.")


def _finding(classes: tuple[str, ...], inspection: ReferenceEvidence, c: int, again: Mapping[str, ndarray]) -> Finding:
    """What is said of an accused class; ``again`` are the figures of its trigger, reversed once more."""
    name, p, trigger, rate = classes[c], float(inspection.tail[c]), inspection.found[c], inspection.effects[c]
    assert rate is not None
    text = (
        f"Class {name} looks backdoored: {trigger.words()} makes {rate.value:.0%} of other clean rows become {name} "
        f"(p = {p:.2g}, corrected over {len(classes)} classes)."
    )
    detail: dict[str, Any] = {"class": c, "pvalue": p, "index": float(inspection.values[c])}
    detail |= {"effect": [rate.value, rate.low, rate.high], "size": float(trigger.size[0])}
    detail |= {name: float(value) for name, value in again.items()}
    return Finding("backdoored-class", f"class {name}", text, detail=detail)


def _notes(model: TorchModel, classes: tuple[str, ...], evidence: dict[str, ndarray]) -> list[Finding]:
    """What the weights show; no verdict rests on it."""
    notes = []
    for layer, channels in channel_outliers(model.net).items():
        text = f"Channels {channels[:8]} of {layer} could amplify far more than the layer's others."
        notes.append(Finding("channel-lipschitz", layer, text, "note", detail={"channels": channels}))
    for what, column in (last_layer(model.net, len(classes)) or {}).items():
        evidence[f"last_layer_{what}"] = column
        for c in np.flatnonzero(column > _OUTLIER):
            text = f"The {what} of the last layer's weights of class {classes[c]} stands out."
            detail = {"class": int(c), "deviations": float(column[c])}
            notes.append(Finding("last-layer", f"class {classes[c]}", text, "note", detail=detail))
    return notes


def _picture(trigger: Reversed, clean: Data, c: int, side: int) -> bytes:
    rows = np.flatnonzero(clean.y != c)
    x = np.asarray(clean.x[rows[:1]])
    grey = np.full_like(x, 128)
    panels = np.concatenate([x, trigger.stamp(0, grey), trigger.stamp(0, x)], 2)[0]
    panels = panels[..., 0] if panels.ndim == 3 and panels.shape[2] == 1 else panels
    factor = max(1, side // panels.shape[0])
    picture = Image.fromarray(panels).resize(
        (panels.shape[1] * factor, panels.shape[0] * factor), Image.Resampling.NEAREST
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
