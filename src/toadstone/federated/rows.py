"""What the rules have in common: which rows they look at, how many of those may be malicious, and sums of rows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from toadstone.errors import ToadstoneError
from toadstone.federated.views import Aggregate, ServerView

ALONE = ServerView()  # a server that knows the updates and nothing else


def check_count(value: int, name: str, least: int = 0) -> None:
    """ToadstoneError unless ``value`` is a whole number >= ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ToadstoneError(f"{name} must be a whole number >= {least}, not {value}.")


def check_rule(rule: object) -> None:
    """ToadstoneError unless ``rule`` can be called."""
    if not callable(rule):
        raise ToadstoneError(f"rule must be an aggregator such as CoordinateMedian(), not {rule!r}.")


def still_malicious(f: int, good: Bool[ndarray, " n"], times: int, plus: int) -> int:
    """How many of the ``good`` rows may be malicious: each row that is not finite was one of the ``f``.

    Raises ToadstoneError unless n >= times f + plus, before and after those rows are gone.
    """
    n, kept = len(good), int(good.sum())
    rest = max(f - (n - kept), 0)
    for bad, count, kind in ((f, n, "updates"), (rest, kept, "finite updates")):
        if count < times * bad + plus:
            raise ToadstoneError(
                f"f={bad} malicious ones of n={count} {kind} are too many for this rule, which needs "
                f"n >= {times}f + {plus} = {times * bad + plus}: lower f or let more clients take part."
            )
    return rest


def pick(updates: Float[ndarray, "n d"], good: Bool[ndarray, " n"]) -> Float[ndarray, "m d"]:
    """The ``good`` rows; no copy is made when that is all."""
    return updates if good.all() else updates[good]


def spread_out(weights: Float[ndarray, " m"], good: Bool[ndarray, " n"]) -> Float64[ndarray, " n"]:
    """The weights of the ``good`` rows as weights of all, 0 for the others."""
    out = np.zeros(len(good))
    out[good] = weights
    return out


def combination(weights: Float[ndarray, " m"], updates: Float[ndarray, "n d"], good: Bool[ndarray, " n"]) -> Aggregate:
    """The sum of the ``good`` rows, each times its weight."""
    return Aggregate(weights.astype(updates.dtype) @ pick(updates, good), spread_out(weights, good))


def equally(update: Float[ndarray, " d"], good: Bool[ndarray, " n"]) -> Aggregate:
    """An update to which the ``good`` rows are said to have contributed equally."""
    return Aggregate(update, good / good.sum())


def shares(weighted: bool, view: ServerView, good: Bool[ndarray, " n"]) -> Float64[ndarray, " m"]:
    """What the ``good`` rows count for: equal parts or, where ``weighted``, as many as the client has training rows.

    Raises ToadstoneError when ``view.rows`` is needed and missing, or 0 for all of them.
    """
    if not weighted:
        return np.full(int(good.sum()), 1 / good.sum())
    if view.rows is None:
        raise ToadstoneError("weighted=True needs view.rows, the clients' numbers of training rows: give them.")
    rows = view.rows[good].astype(np.float64)
    if (rows < 0).any() or not rows.sum() > 0:
        raise ToadstoneError("view.rows must be numbers of training rows >= 0, not all of them 0.")
    parts: ndarray = rows / rows.sum()
    return parts
