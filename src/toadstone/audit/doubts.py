"""Why nothing can be concluded on a model: it is not used as it is meant to be, or no trigger can be reversed."""

from __future__ import annotations

from toadstone.core import Data, Model, Rate
from toadstone.defenses.model.reference_cleanse import FEWEST, obstacle
from toadstone.findings import Finding
from toadstone.models.foreign import better_input
from toadstone.models.torch_model import TorchModel


def doubt(model: Model, clean: Data, right: Rate, expected: float | None) -> Finding | None:
    """Why the model may not be used as it is meant to be."""
    k = len(clean.classes)
    least = min(2 / k, 0.75) if expected is None else expected
    low = right.high < least if expected is not None else right.value < least
    image = isinstance(model, TorchModel) and getattr(model.encode, "modality", None) == "image"
    other = better_input(model, clean) if image and isinstance(model, TorchModel) else None
    if not low and other is None:
        return None
    wanted = f"expected {least:.0%}" if expected is not None else f"twice chance is {least:.0%}"
    text = f"the model is right on {in_words(right)} of the clean rows"
    text += f" ({wanted})" if low else ""
    if other is not None:
        text += f"; with the input range and layout {other[0]} it would be right on {in_words(other[1])}: set these"
    else:
        text += ": the input range, the layout, the order of the classes or the rows may be wrong"
    detail = {"accuracy": right.value, "suggested": None if other is None else str(other[0])}
    return Finding("clean-accuracy", "model", f"{text}.", "warning", detail=detail)


def hindrance(model: Model, clean: Data) -> Finding | None:
    """Why triggers cannot be reversed."""
    reason = obstacle(model, clean)
    if reason is None:
        return None
    detail = {"needed": FEWEST} if reason[0] == "few-rows" else {}
    return Finding(reason[0], "model", reason[1], "warning", detail=detail)


def in_words(rate: Rate) -> str:
    """The rate with its interval."""
    return f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"
