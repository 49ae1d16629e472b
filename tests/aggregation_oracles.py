"""Slow rules, each a loop over its definition in double precision; no code is shared with the library."""

import itertools
import math

import numpy as np


def distance2(a, b):
    return math.fsum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def median(updates):
    out = []
    for column in updates.T.astype(float):
        v = sorted(column.tolist())
        h = len(v) // 2
        out.append(v[h] if len(v) % 2 else (v[h - 1] + v[h]) / 2)
    return np.array(out)


def trimmed_mean(updates, f):
    out = []
    for column in updates.T.astype(float):
        v = sorted(column.tolist())
        for _ in range(f):
            v.remove(min(v))
            v.remove(max(v))
        out.append(math.fsum(v) / len(v))
    return np.array(out)


def meamed(updates, keep):
    """All windows: the one whose greatest distance to the median is least."""
    out = []
    for column, m in zip(updates.T.astype(float), median(updates), strict=True):
        v = sorted(column.tolist(), key=lambda x: (abs(x - m), x))
        out.append(math.fsum(v[:keep]) / keep)
    return np.array(out)


def krum_order(updates, f, rows):
    """The rows by score, the first of equals first; at least one neighbour."""
    scores = []
    for i in rows:
        others = sorted(distance2(updates[i], updates[j]) for j in rows if j != i)
        scores.append(math.fsum(others[: max(len(rows) - f - 2, 1)]))
    return [rows[i] for i in sorted(range(len(rows)), key=lambda i: (scores[i], i))]


def bulyan(updates, f):
    """Of rows with equal scores the one with the least sum of all distances."""
    rows, chosen = list(range(len(updates))), []
    for _ in range(len(updates) - 2 * f):
        scores, totals = {}, {}
        for i in rows:
            others = sorted(distance2(updates[i], updates[j]) for j in rows if j != i)
            scores[i], totals[i] = math.fsum(others[: max(len(rows) - f - 2, 1)]), math.fsum(others)
        chosen.append(min(rows, key=lambda i: (scores[i], totals[i])))
        rows.remove(chosen[-1])
    return meamed(updates[chosen], len(updates) - 4 * f), chosen


def weiszfeld(updates, shares, steps, nu):
    x = updates.astype(float)
    z = sum(s * r for s, r in zip(shares, x, strict=True)) / sum(shares)
    for _ in range(steps):
        b = [s / max(nu, math.sqrt(distance2(r, z))) for s, r in zip(shares, x, strict=True)]
        z = sum(w * r for w, r in zip(b, x, strict=True)) / sum(b)
    return z


def centered_clipping(updates, start, tau, iterations):
    v = start.astype(float)
    for _ in range(iterations):
        moves = []
        for row in updates.astype(float):
            length = math.sqrt(distance2(row, v))
            moves.append((row - v) * (1 if length <= tau else tau / length))
        v = v + sum(moves) / len(moves)
    return v


def nnm(updates, f):
    x = updates.astype(float)
    mixed = []
    for row in x:
        order = sorted(range(len(x)), key=lambda j: distance2(row, x[j]))
        mixed.append(sum(x[j] for j in order[: len(x) - f]) / (len(x) - f))
    return np.array(mixed)


def smallest_norm_bound(lengths, f):
    """ARC's bound, by pulling out the longest one after the other."""
    left = sorted(lengths)
    for _ in range(math.floor(2 * (f / len(lengths)) * (len(lengths) - f) + 1e-9)):
        left.pop()
    return left[-1]


def foolsgold(sent):
    """The pseudo-code, pair by pair."""
    n = len(sent)
    cos = np.zeros((n, n))
    for i, j in itertools.permutations(range(n), 2):
        a, b = sent[i].astype(float), sent[j].astype(float)
        cos[i, j] = float(a @ b) / max(math.sqrt(float(a @ a) * float(b @ b)), 1e-300)
    v = [max(0.0, *(cos[i, j] for j in range(n) if j != i)) for i in range(n)]
    a = []
    for i in range(n):
        like = [0.0] + [cos[i, j] * (v[i] / v[j] if v[j] > v[i] else 1) for j in range(n) if j != i]
        a.append(min(max(1 - max(like), 0), 1))
    top, out = max(a), []
    for x in [each / top if top else 0 for each in a]:
        logit = -math.inf if x == 0 else math.inf if x == 1 else math.log(x / (1 - x))
        out.append(min(max(logit + 0.5, 0), 1))
    return np.array(out)
