"""How one tensor came from another: the same rows, reordered, normalised, mixed; or stamped, appended, unclear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from toadstone.findings import Level

_PIECE = 1 << 24  # numbers compared at a time


@dataclass(frozen=True)
class Match:
    """``how`` a tensor came from the batch, in a sentence's end; -1 in ``index`` and ``partner`` stands for no row.

    ``level`` is "" for the same content, else that of a finding. ``rows`` and ``cells`` are those that changed.
    """

    how: str
    text: str
    level: Level | Literal[""]
    index: Tensor
    partner: Tensor | None = None
    share: Tensor | None = None  # of the row itself in a mixture
    rows: tuple[int, ...] = ()
    cells: tuple[int, ...] = ()


_ORDER = ("same", "rows", "affine", "mix", "patchwork", "appended", "stamp", "other")


def explain(seen: Tensor, batch: Tensor) -> Match:
    """The simplest account of ``seen`` (m, ...) as made from ``batch`` (n, ...)."""
    matches = [_explain(s, b, channels, low) for s, b, channels, low in _layouts(seen, batch)]
    return min(matches, key=lambda match: _ORDER.index(match.how)) if matches else _other(seen, "has another shape")


def _layouts(seen: Tensor, batch: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, float]]:
    """Both as (rows, cells) of float64, with the channel of each cell and a tolerance, in every layout that fits."""
    if seen.ndim == 0 or batch.ndim == 0 or not len(seen) or not len(batch):
        return
    low = 2e-2 if seen.dtype in (torch.float16, torch.bfloat16) else 2e-5
    if not seen.is_floating_point():
        low = 0.0
    arranged = [batch]
    if batch.ndim == 4:
        arranged += [batch.permute(0, 3, 1, 2), batch.permute(0, 2, 3, 1)]
    if batch.ndim == 2 and seen.shape == batch.T.shape and batch.shape[0] != batch.shape[1]:
        arranged = [batch]
        seen = seen.T
    for base in arranged:
        flat = base.shape != seen.shape and base[0].numel() == seen[0].numel() and (seen.ndim < 4 or base is batch)
        if base.shape[1:] == seen.shape[1:] or flat:
            cells = base[0].numel()
            axis = torch.arange(base.shape[1] if base.ndim > 1 else 1)
            channels = (
                axis.repeat_interleave(cells // max(1, len(axis))) if base.ndim != 3 else torch.zeros(cells).long()
            )
            whole = base.to(seen.dtype) if not batch.is_floating_point() or low else base
            yield _matrix(seen), _matrix(whole), channels, low


def _matrix(x: Tensor) -> Tensor:
    return x.detach().cpu().to(torch.float64).reshape(len(x), -1)


def _explain(s: Tensor, b: Tensor, channels: Tensor, low: float) -> Match:
    """With the batch as it is, then normalised; the first account that leaves nothing open."""
    plain = _account(s, b, low)
    if plain.level != "warning" or not low or s.shape[1] < 2:
        return plain
    matches = [plain]
    for a, c in _scales(s, b, channels, low):
        moved = _account(s, b * a + c, low)
        flat = bool((a.abs() < 1e-9).any())
        touched = ((a - 1).abs() > 1e-4) | (c.abs() > 1e-4 * (1 + b.abs().amax()))
        few = 0 < int(touched.sum()) < len(touched) / 2
        if moved.how in ("same", "rows", "affine") and not flat and not few:
            return Match("affine", "is the batch, scaled and shifted", "note", moved.index)
        if moved.how in ("same", "rows"):
            cells = tuple(torch.where(touched | (a.abs() < 1e-9))[0].tolist())
            return _stamp(moved.index, tuple(range(len(s))), cells)
        if moved.how != "other" and not flat:
            matches.append(moved)
    return min(matches, key=lambda match: _ORDER.index(match.how))


def _account(s: Tensor, b: Tensor, low: float) -> Match:
    index = _rows(s, b, low)
    known = index >= 0
    if bool(known.all()):
        if torch.equal(index, torch.arange(len(b))):
            return Match("same", "is the batch", "", index)
        part = len(s) < len(b)
        return Match("rows", "is a part of the batch" if part else "is the batch in another order", "note", index)
    if len(s) > len(b) and int(known.sum()) >= len(b):
        new = tuple(torch.where(~known)[0].tolist())
        return Match("appended", "holds rows that the batch does not", "error", index, rows=new)
    rows = torch.where(~known)[0]
    mixed = _mixed(s, b, rows, low) if low else None
    if mixed is not None:
        shares = (index == torch.arange(len(index))).to(torch.float64)
        shares[rows] = mixed[1]
        partners = index.index_put((rows,), mixed[0])
        own = torch.arange(len(s))  # a row that equals another whole row is that one, with no share of its own
        return Match("mix", "is a mixture of the batch's rows (mixup)", "note", own, partners, shares)
    return _changed(s, b, torch.where(known, index, _nearest(s, b, low, known)), rows, low)


def _rows(s: Tensor, b: Tensor, low: float) -> Tensor:
    """For each row of ``s`` the equal row of ``b``, its own first; -1 for none."""
    out = torch.full((len(s),), -1)
    n = min(len(s), len(b))
    out[:n] = torch.where(_equal(s[:n], b[:n], low), torch.arange(n), -1)
    left = torch.where(out < 0)[0]
    if not len(left):
        return out
    line = torch.randn(b.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    here, there = s[left] @ line, b @ line
    ranked = (here[:, None] - there[None]).abs().argsort(1)[:, :3]
    for column in range(ranked.shape[1]):
        candidate = ranked[:, column]
        fits = _equal(s[left], b[candidate], low) & (out[left] < 0)
        out[left[fits]] = candidate[fits]
    return out


def _near(s: Tensor, b: Tensor, low: float) -> Tensor:
    """Which cells are the same, up to rounding."""
    return (s - b).abs() <= low * (b.abs() + b.abs().mean() + 1e-12) if low else s == b


def _equal(s: Tensor, b: Tensor, low: float) -> Tensor:
    return _near(s, b, low).all(1)


def _nearest(s: Tensor, b: Tensor, low: float, known: Tensor) -> Tensor:
    """For each unknown row the row of ``b`` with half of its cells or more, its own first; else -1."""
    out = torch.full((len(s),), -1)
    small = b.numel() * len(s) <= _PIECE
    for i in torch.where(~known)[0].tolist():
        if i < len(b) and float(_near(s[i], b[i], low).double().mean()) >= 0.5:
            out[i] = i
        elif small:
            shared = _near(s[i][None], b, low).double().mean(1)
            out[i] = int(shared.argmax()) if float(shared.max()) >= 0.5 else -1
    return out


def _changed(s: Tensor, b: Tensor, index: Tensor, rows: Tensor, low: float) -> Match:
    """``rows`` that are neither a row of the batch nor a mixture: a patchwork, a stamp, or unclear."""
    numbers = tuple(rows.tolist())
    if bool((index[rows] >= 0).all()):
        base = b[index[rows]]
        moved = ~_near(s[rows], base, low)
        pieces = _patchwork(s[rows], b, moved, low) if len(s) == len(b) else None
        if pieces is not None:
            partners = index.index_put((rows,), pieces)
            text = "has parts of other rows of the batch (cutmix)"
            return Match("patchwork", text, "note", torch.arange(len(s)), partners)
        everywhere = moved.any(0)
        if _stamped(s[rows], base, moved, everywhere, low):
            return _stamp(index, numbers, tuple(torch.where(everywhere)[0].tolist()))
    if low and len(s) == len(b) and len(rows) > 2 and _blended(s[rows], b[rows], low):
        level: Level = "error" if len(rows) < len(s) else "warning"
        return Match("stamp", "has one picture blended in", level, torch.arange(len(s)), rows=numbers)
    same = "some of its rows are" if len(rows) < len(s) else "its rows are"
    return Match("other", f"could not be explained: {same} no rows of the batch", "warning", index, rows=numbers)


def _stamped(s: Tensor, b: Tensor, moved: Tensor, everywhere: Tensor, low: float) -> bool:
    """Whether the same cells of the rows were changed, and not nearly all cells."""
    if int(everywhere.sum()) > 0.5 * s.shape[1]:
        return False
    there, was = s[:, everywhere], b[:, everywhere]
    pattern = bool(_near(there, there[:1].expand_as(there), low).all())
    added = bool(_near(there - was, (there - was)[:1].expand_as(there), max(low * 10, 0)).all())
    return pattern or added or bool((moved[:, everywhere].double().mean(1) >= 0.5).all())


def _patchwork(s: Tensor, b: Tensor, moved: Tensor, low: float) -> Tensor | None:
    """The other row from which each row's changed cells come, where those rows are many.

    Exchanged parts differ from row to row: one value in every changed cell is a stamp, whoever else has it.
    """
    if len(s) < 3 or s.numel() * len(b) > 64 * _PIECE or len(torch.unique(s[moved])) < 2:
        return None
    used = torch.zeros(len(b))
    partner = torch.zeros(len(s), dtype=torch.int64)
    for i in range(len(s)):
        cells = torch.where(moved[i])[0]
        some = cells[:: 1 + len(cells) // 64]
        likely = torch.where(_near(s[i, some][None], b[:, some], low).all(1))[0]
        ranked = likely[used[likely].argsort()].tolist()  # of those that fit, the least used
        other = next((j for j in ranked if bool(_near(s[i, cells], b[j, cells], low).all())), None)
        if other is None:
            return None
        partner[i] = other
        used[other] += 1
    return partner if int((used > 0).sum()) > len(s) / 3 else None


def _mixed(s: Tensor, b: Tensor, rows: Tensor, low: float) -> tuple[Tensor, Tensor] | None:
    """(partner, share) with s_i = share b_i + (1 - share) b_partner for every row in ``rows``."""
    if len(s) != len(b) or len(rows) < 2:
        return None
    mine, centre = s[rows], b.mean(0)
    own, other, here = b[rows] - centre, b - centre, mine - centre
    oo, ob = other.square().sum(1), own @ other.T
    dd = own.square().sum(1)[:, None] - 2 * ob + oo[None]  # |b_i - b_j|^2
    rr = here.square().sum(1)[:, None] - 2 * here @ other.T + oo[None]  # |s_i - b_j|^2
    rd = (here * own).sum(1)[:, None] - here @ other.T - ob + oo[None]
    share = rd / dd.clamp_min(1e-30)
    left = (rr - rd * share).clamp_min(0) / dd.clamp_min(1e-30)
    left = left.masked_fill((share < -1e-3) | (share > 1 + 1e-3) | (dd < 1e-20), float("inf"))
    partner = left.argmin(1)
    chosen = share.gather(1, partner[:, None])[:, 0]
    rebuilt = chosen[:, None] * b[rows] + (1 - chosen[:, None]) * b[partner]
    if not bool(_equal(mine, rebuilt, low * 10).all()):
        return None
    spread = float(chosen.max() - chosen.min())
    enough = s.shape[1] >= 8 or spread < 1e-3
    return (partner, chosen) if enough and len(set(partner.tolist())) > len(partner) / 3 else None


def _blended(s: Tensor, b: Tensor, low: float) -> bool:
    """Whether s = a b + p with one number a and one picture p."""
    ss, bb = s - s.mean(0), b - b.mean(0)
    a = (ss * bb).sum() / bb.square().sum().clamp_min(1e-30)
    return bool(abs(float(a)) > 1e-3) and bool(_near(s, a * b + (s - a * b).mean(0), low * 20).all())


def _scales(s: Tensor, b: Tensor, channels: Tensor, low: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Candidates (a, c), one number a cell, for s = a b + c: one for all cells, then one for each channel."""
    pairs = [(s.mean(0)[None], b.mean(0)[None])]  # a mixture or another order keeps every cell's mean
    if len(s) == len(b):
        pairs.insert(0, (s, b))
    for groups in (torch.zeros_like(channels), channels):
        if int(groups.max()) >= len(groups):
            continue
        for x, y in pairs:
            fitted = [
                _line(x[:, groups == g].flatten(), y[:, groups == g].flatten()) for g in range(int(groups.max()) + 1)
            ]
            a, c = torch.tensor(fitted, dtype=torch.float64).T
            yield a[groups], c[groups]


def _line(s: Tensor, b: Tensor) -> tuple[float, float]:
    """The line through most of the points: least squares, with the worst points left out again and again."""
    step = 1 + len(s) // (1 << 18)
    s, b = s[::step], b[::step]
    keep = torch.ones(len(s), dtype=torch.bool)
    a, c = 1.0, 0.0
    for _ in range(8):
        x, y = b[keep], s[keep]
        var = float((x - x.mean()).square().sum())
        a = float(((x - x.mean()) * (y - y.mean())).sum()) / var if var > 1e-20 else 1.0
        c = float(y.mean() - a * x.mean())
        wrong = (s - a * b - c).abs()
        if float(wrong.max()) < 1e-6 * (1 + float(s.abs().max())):
            break
        keep = (
            wrong <= wrong.quantile(0.7) if len(wrong) < 1 << 20 else wrong <= wrong[:: len(wrong) >> 19].quantile(0.7)
        )
    return a, c


def _stamp(index: Tensor, rows: tuple[int, ...], cells: tuple[int, ...]) -> Match:
    return Match("stamp", "has the same cells changed in some rows", "error", index, rows=rows, cells=cells)


def _other(seen: Tensor, why: str) -> Match:
    index = torch.full((len(seen) if seen.ndim else 0,), -1)
    return Match("other", f"could not be explained: it {why}", "warning", index)
