"""Somebody else's model: is there a backdoor in it, of which class, and what calls it up?"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image
from safetensors.torch import save
from torch import nn

from toadstone.checkpoints import Stages
from toadstone.core import Data, Model, Rate
from toadstone.defenses.model.fine_pruning import FinePruning
from toadstone.defenses.model.reference_cleanse import Search, again, attraction, effect, halves
from toadstone.defenses.model.sizes import pvalues
from toadstone.defenses.model.weights import channel_outliers, last_layer
from toadstone.errors import ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.files import write_whole
from toadstone.findings import Audit, Finding
from toadstone.models.cache import digest_model, digest_rows
from toadstone.models.foreign import Adapted, adapt, answer, better_input
from toadstone.models.torch_model import TorchModel
from toadstone.rng import child
from toadstone.whitebox.reverse import Reversed

FEWEST = 100  # clean rows
EFFECT = 0.5  # share of held-out rows that a trigger must turn before its class is accused
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
    ``triggers`` are by class number, ``accused`` the classes accused, the surest first; ``repaired`` is there once
    `repair_model` made it.
    """

    audit: Audit
    evidence: Mapping[str, ndarray]
    triggers: Mapping[int, Reversed]
    accused: tuple[int, ...]
    model: Model
    clean: Data
    seed: int
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
        net = self.repaired.net.net if isinstance(self.repaired.net, Adapted) else self.repaired.net
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
    if not 0 < level < 1:
        raise ToadstoneError(f"level must lie between 0 and 1, exclusive, not {level}.")
    if expected_accuracy is not None and not 0 < expected_accuracy <= 1:
        raise ToadstoneError(f"expected_accuracy must lie in (0, 1], not {expected_accuracy}.")
    if not clean.classes:
        raise ToadstoneError("clean is a regression set: an audit of a model needs classes.")
    if isinstance(model, nn.Module):
        model = adapt(model, clean)
    if not isinstance(model, Model):
        raise ToadstoneError(
            f"model is a {type(model).__name__}: give a torch module or a model with probs and classes."
        )
    if len(model.classes) != len(clean.classes):
        raise ToadstoneError(f"model has {len(model.classes)} classes but clean has {len(clean.classes)}.")
    if isinstance(model, TorchModel):
        answer(model, clean)
    found = accuracy(model, clean)
    facts: dict[str, Any] = {"rows": len(clean), "classes": len(clean.classes), "level": level}
    facts["accuracy"] = [found.value, found.low, found.high]
    doubt = _doubt(model, clean, found, expected_accuracy) or _unfit(model, clean)
    if doubt is not None:
        told = doubt.text[:1].upper() + doubt.text[1:]
        unchecked = (CANNOT.format(why=doubt.text), *UNSEEN)
        checked = (f"Accuracy on {found.n} clean rows: {_rate(found)}.",)
        audit = Audit("model", "model", told, (doubt,), checked, unchecked, facts)
        return ModelAudit(audit, {}, {}, (), model, clean, seed)
    assert isinstance(model, TorchModel)
    stages = Stages(Path(folder), f"{_key(model, clean, seed)}/") if folder else Stages(None, "")
    return _concluded(Search(model, clean, stages, seed), level, found, facts)


def repair_model(found: ModelAudit) -> ModelAudit:
    """``found`` with a new model, mended by fine-pruning on the rows that no trigger was fitted to.

    ``facts["repair"]`` has the accuracy and the success of each accused class's trigger, before and after, on the
    rows that were not used to mend it. The model itself stays as it was.

    Raises ToadstoneError for a model without weights to change and for too few rows.
    """
    model, (fitted, rest) = found.model, halves(found.clean, found.seed)
    if not isinstance(model, TorchModel):
        raise ToadstoneError(f"model is a {type(model).__name__}: fine-pruning changes weights, give a torch module.")
    tune, test = found.clean.take(rest), found.clean.take(fitted)
    mended = FinePruning(bound=max(0.01, 3 / len(tune))).repair(model, tune, seed=child(found.seed, "repair")).model
    assert isinstance(mended, TorchModel)
    told: dict[str, Any] = {"method": "fine-pruning", "rows": len(test)}
    for words, each in (("before", model), ("after", mended)):
        told[f"accuracy_{words}"] = accuracy(each, test).value
        for c in found.accused:
            told[f"trigger_{words}_class_{c}"] = effect(each, found.triggers[c], test, c).value
    note = Finding("repaired", "model", _repaired(found, told), "note", detail=told)
    findings, facts = (*found.audit.findings, note), {**found.audit.facts, "repair": told}
    audit = replace(found.audit, findings=findings, facts=facts)
    return replace(found, audit=audit, repaired=mended)


def _repaired(found: ModelAudit, told: Mapping[str, Any]) -> str:
    sides = [("the accuracy", "accuracy_{}")]
    sides += [(f"the trigger of class {found.clean.classes[c]}", f"trigger_{{}}_class_{c}") for c in found.accused]
    words = [f"{what} goes from {told[k.format('before')]:.1%} to {told[k.format('after')]:.1%}" for what, k in sides]
    return f"Fine-pruning: on {told['rows']} clean rows that it did not use, {' and '.join(words)}."


def _key(model: TorchModel, clean: Data, seed: int) -> str:
    """One name for all that the stages depend on."""
    parts = [digest_model(model), digest_rows(clean.x), digest_rows(clean.y), str(seed)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:32]


def _doubt(model: Model, clean: Data, found: Rate, expected: float | None) -> Finding | None:
    """Why the model may not be used as it is meant to be."""
    k = len(clean.classes)
    least = min(2 / k, 0.75) if expected is None else expected
    low = found.high < least if expected is not None else found.value < least
    image = isinstance(model, TorchModel) and getattr(model.encode, "modality", None) == "image"
    other = better_input(model, clean) if image and isinstance(model, TorchModel) else None
    if not low and other is None:
        return None
    asked = f"expected {least:.0%}" if expected is not None else f"twice chance is {least:.0%}"
    text = f"the model is right on {_rate(found)} of the clean rows"
    text += f" ({asked})" if low else ""
    if other is not None:
        text += f"; with the input range and layout {other[0]} it would be right on {_rate(other[1])}: set these"
    else:
        text += ": the input range, the layout, the order of the classes or the rows may be wrong"
    detail = {"accuracy": found.value, "suggested": None if other is None else str(other[0])}
    return Finding("clean-accuracy", "model", f"{text}.", "warning", detail=detail)


def _unfit(model: Model, clean: Data) -> Finding | None:
    """Why triggers cannot be reversed."""
    if not isinstance(model, TorchModel):
        why = f"a {type(model).__name__} has no gradients to reverse a trigger with; give the torch module."
        return Finding("no-gradients", "model", why, "warning")
    if getattr(model.encode, "modality", None) != "image" or clean.x.dtype != np.uint8:
        why = "triggers are reversed for models of uint8 images alone; for texts and tables there is no such check."
        return Finding("not-images", "model", why, "warning")
    if len(clean.classes) < 3:
        return Finding("few-classes", "model", "a class is compared with the others: 3 or more are needed.", "warning")
    if len(clean) < FEWEST or (clean.counts() > 0).sum() < 2:
        why = f"there are {len(clean)} clean rows: {FEWEST} or more, of two classes at least, are needed."
        return Finding("few-rows", "model", why, "warning", detail={"needed": FEWEST})
    return None


def _concluded(search: Search, level: float, found: Rate, facts: dict[str, Any]) -> ModelAudit:
    values, triggers, looked = search.index(), search.triggers(), search.looked.tolist()
    p, effects = pvalues(values, search.k), [search.effect(triggers[c], c) for c in looked]
    evidence = search.evidence() | {"index": search.every(values), "pvalue": search.every(p)}
    evidence["effect"] = search.every(np.array([e.value for e in effects]))
    evidence["attraction"] = attraction(search.model, search.rest, search.seed)
    accused = [t for t in np.argsort(p, kind="stable").tolist() if p[t] <= level and effects[t].value >= EFFECT]
    findings = [_finding(search, triggers[looked[t]], looked[t], (p[t], values[t], effects[t])) for t in accused]
    notes = _notes(search, evidence)
    facts = facts | {"references": len(search.references), "classes_looked_at": len(looked)}
    least, names = int(np.argmin(p)), search.clean.classes
    headline = " ".join(finding.text for finding in findings) or (
        f"No backdoor of a small, fixed trigger found: of {search.k} classes {names[looked[least]]} is the most "
        f"suspicious (p = {p[least]:.2g}, corrected). Other kinds of backdoor were not looked for."
    )
    audit = Audit("model", "model", headline, (*findings, *notes), _checked(search, found), UNSEEN, facts)
    audit = audit.without([f"checkpoint {what}" for what in search.stages.unwritten[:1]])
    classes = tuple(looked[t] for t in accused)
    return ModelAudit(audit, evidence, triggers, classes, search.model, search.clean, search.seed)


def _checked(search: Search, found: Rate) -> tuple[str, ...]:
    some = "" if len(search.looked) == search.k else f" (quickly; {len(search.looked)} of them closely)"
    count = len(search.references)
    beside = f"{count} nets of the same design trained on clean rows" if count else "the other classes alone"
    return (
        f"Accuracy on {found.n} clean rows: {_rate(found)}.",
        f"The smallest rectangle and the faintest change of the whole image for each of {search.k} classes{some}, "
        f"beside {beside}.",
        "The effect of each reversed trigger on clean rows that it was not fitted to.",
        "Weights: channels that could amplify far more than others, and classes that stand out in the last layer.",
        "Which classes sums of two clean images go to.",
    )


def _finding(search: Search, trigger: Reversed, c: int, told: tuple[float, float, Rate]) -> Finding:
    """What is said of an accused class, ``told`` being its p-value, index and effect."""
    name, (p, value, rate) = search.clean.classes[c], told
    text = (
        f"Class {name} looks backdoored: {trigger.words()} makes {rate.value:.0%} of other clean rows become {name} "
        f"(p = {p:.2g}, corrected over {search.k} classes)."
    )
    detail = {"class": c, "pvalue": float(p), "index": float(value), "effect": [rate.value, rate.low, rate.high]}
    detail |= {"size": float(trigger.size[0]), **again(search, c, trigger)}
    return Finding("backdoored-class", f"class {name}", text, detail=detail)


def _notes(search: Search, evidence: dict[str, ndarray]) -> list[Finding]:
    """What the weights show; no verdict rests on it."""
    notes = []
    for layer, channels in channel_outliers(search.model.net).items():
        text = f"Channels {channels[:8]} of {layer} could amplify far more than the layer's others."
        notes.append(Finding("channel-lipschitz", layer, text, "note", detail={"channels": channels}))
    for what, column in (last_layer(search.model.net, search.k) or {}).items():
        evidence[f"last_layer_{what}"] = column
        for c in np.flatnonzero(column > _OUTLIER):
            text = f"The {what} of the last layer's weights of class {search.clean.classes[c]} stands out."
            detail = {"class": int(c), "deviations": float(column[c])}
            notes.append(Finding("last-layer", f"class {search.clean.classes[c]}", text, "note", detail=detail))
    return notes


def _rate(rate: Rate) -> str:
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"


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
