"""Whether the targets that a loss was given are the labels of the rows that the model was given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toadstone.audit.step.explain import Match
from toadstone.audit.step.watch import Target

_SLACK = 2e-4


@dataclass(frozen=True)
class Account:
    """What a target is: ``how`` is "own", "partner", "order" (the labels, reordered), "changed" or "unclear"."""

    how: str
    text: str = ""
    rows: tuple[int, ...] = ()


def judge(target: Target, labels: Tensor, inputs: list[Tensor], match: Match | None) -> Account:
    """The account of one target against the loader's labels, given how its rows came from the batch."""
    y, t = labels.detach().cpu(), target.tensor.detach().cpu()
    if t.is_floating_point() and t.ndim == 2 and t.shape[1] > 1 and not y.is_floating_point() and y.ndim == 1:
        return _soft(t, y, match)
    if t.is_floating_point() and not y.is_floating_point():
        return _binary(t, y, match)
    if t.is_floating_point():
        return _number(t, y, match)
    return _whole(t, y, inputs, match, target.ignored)


def own(y: Tensor, match: Match | None, partner: bool = False) -> Tensor | None:
    """The labels that belong to the rows a forward was given."""
    if match is None or (match.how == "other" and not bool((match.index >= 0).all())):
        return y
    index = match.partner if partner else match.index
    if index is None:
        return None
    return torch.where(index >= 0, y[index.clamp_min(0)], -1) if y.ndim == 1 else y[index.clamp_min(0)]


def _whole(t: Tensor, y: Tensor, inputs: list[Tensor], match: Match | None, ignored: int | None) -> Account:
    mine, others = own(y, match), own(y, match, partner=True)
    t = t.flatten()
    for candidate in (mine, *_shifted([y, *inputs])):
        if candidate is not None and _agrees(t, candidate.flatten(), ignored):
            return Account("own")
    if others is not None and _agrees(t, others.flatten(), ignored):
        return Account("partner")
    flat = y.flatten()
    if mine is None or t.numel() != mine.numel():
        return Account("unclear", "has another number of entries than the labels")
    if t.numel() == flat.numel() and torch.equal(t.sort().values, flat.to(t.dtype).sort().values):
        rows = torch.where(t != mine.flatten())[0].tolist()
        return Account("order", "holds the labels in another order than the rows", tuple(rows))
    wrong = t != mine.flatten()
    if ignored is not None:
        wrong &= t != ignored
    each = max(1, mine[0].numel())
    rows = sorted({row // each for row in torch.where(wrong)[0].tolist()})
    return Account("changed", "differs from the loader's labels", tuple(rows))


def _shifted(sequences: list[Tensor]) -> list[Tensor]:
    """Next-token targets: sequences without their first or last place."""
    whole = [s for s in sequences if s.ndim == 2 and not s.is_floating_point()]
    return [piece for s in whole for piece in (s, s[:, 1:], s[:, :-1])]


def _agrees(t: Tensor, expected: Tensor, ignored: int | None) -> bool:
    if t.shape != expected.shape:
        return False
    same = t == expected
    return bool((same | (t == ignored)).all()) if ignored is not None else bool(same.all())


def _soft(t: Tensor, y: Tensor, match: Match | None) -> Account:
    """Rows over the classes: one-hot, smoothed, or a mixture of two rows' classes; else somebody else's numbers."""
    above = t.double() - t.double().amin(1, keepdim=True)
    top, classes = above.topk(min(3, t.shape[1]), 1)
    whole = top[:, 0].clamp_min(1e-12)
    third = top[:, 2] / whole if top.shape[1] > 2 else torch.zeros(len(t))
    if bool((third > _SLACK).any()):
        return Account("unclear", "is soft, and no smoothing or mixture of the labels")
    second = top[:, 1] / whole > _SLACK
    mine, others = own(y, match), own(y, match, partner=True)
    if mine is None or len(mine) != len(t):
        return Account("unclear", "has another number of rows than the labels")
    others = mine if others is None else others
    ok = (classes[:, 0] == mine) | (classes[:, 0] == others)
    ok &= ~second | (classes[:, 1] == mine) | (classes[:, 1] == others)
    if bool(ok.all()):
        return Account("own", "is smoothed or mixed")
    return Account("changed", "differs from the loader's labels", tuple(torch.where(~ok)[0].tolist()))


def _binary(t: Tensor, y: Tensor, match: Match | None) -> Account:
    """Classes as numbers: y itself, two levels of it, or a mixture of two rows'."""
    if y.ndim == 1 and t.numel() != len(t):
        return Account("unclear", "is not one number a row")
    return _number(t.flatten(), y.to(t.dtype), match) if y.ndim == 1 else _number(t, y.to(t.dtype), match)


def _number(t: Tensor, y: Tensor, match: Match | None) -> Account:  # noqa: PLR0911 (one account a line)
    mine, others = own(y, match), own(y, match, partner=True)
    if mine is None or t.numel() != mine.numel():
        return Account("unclear", "has another number of entries than the labels")
    rows = t.reshape(len(mine), -1).double()
    mine = mine.reshape(len(mine), -1).double()
    if others is not None and match is not None and match.share is not None:
        share = match.share[:, None]
        mixed = share * mine + (1 - share) * others.reshape(len(mine), -1).double()
        if bool(torch.isclose(rows, mixed, rtol=1e-3, atol=1e-4).all()):
            return Account("own", "is mixed")
        if bool(torch.isclose(rows, others.reshape(len(mine), -1).double()).all()):
            return Account("partner")
    low = 1e-5
    wrong = (rows - mine).abs().amax(1) > low * (1 + mine.abs().amax())
    if not bool(wrong.any()):
        return Account("own")
    if torch.allclose(rows.flatten().sort().values, mine.flatten().sort().values):
        return Account(
            "order", "holds the labels in another order than the rows", tuple(torch.where(wrong)[0].tolist())
        )
    x, z = mine.flatten(), rows.flatten()
    spread = (x - x.mean()).square().sum()
    slope = ((x - x.mean()) * (z - z.mean())).sum() / spread.clamp_min(1e-30)
    if (
        float(slope) > 0
        and len(torch.unique(x)) > 1
        and torch.allclose(z, slope * (x - x.mean()) + z.mean(), atol=1e-4)
    ):
        return Account("own", "is scaled or smoothed")
    some = not bool(wrong.all()) or len(torch.unique(z)) < len(torch.unique(x)) or len(torch.unique(z)) <= 2
    numbers = tuple(torch.where(wrong)[0].tolist())
    return (
        Account("changed", "differs from the loader's labels", numbers)
        if some
        else Account("unclear", "is no label", numbers)
    )
