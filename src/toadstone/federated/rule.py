"""The base of the server's rules: which rows a rule may look at, how many of those may be malicious, what is made of
the weights that it gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from toadstone.errors import NotApplicableError, RefusedError, ToadstoneError
from toadstone.federated.views import Aggregate, ServerView
from toadstone.maths.gram import gram, inner, squared_distances, squared_lengths

ALONE = ServerView()  # a server that knows the updates and nothing else
_LARGEST = 1e36  # a squared length that single precision still holds, with room for rounding
_FROM_ROWS = {"own", "judge"}  # parts of the view that the server makes of rows of its own
_REQUIRED = {
    "own": "an update from rows of the server's own: set some aside",
    "judge": "rows of the server's own to try models on: set some aside",
    "memory": "a row for each client with the sum of what it has sent",
}


@dataclass(frozen=True, eq=False)
class Round:
    """What a rule is shown of a round of N clients.

    - ``sent``: (N, d) what they sent. ``good``: (N,) the n rows that a rule may look at.
    - ``f``: how many of those n may be malicious. ``view``: what else the server knows, of all N.
    - ``squares``: (N,) squared lengths. ``inner_products``: (N, N), where the rule is ``pairwise``.

    What follows is about the n rows alone, and computed when it is asked for.
    """

    sent: Float[ndarray, "N d"]
    good: Bool[ndarray, " N"]
    f: int
    view: ServerView
    squares: Float64[ndarray, " N"]
    inner_products: Float64[ndarray, "N N"] | None = None

    @cached_property
    def n(self) -> int:
        """How many rows there are."""
        return int(self.good.sum())

    @cached_property
    def updates(self) -> Float[ndarray, "n d"]:
        """The rows; no copy is made when they are all that was sent."""
        return self.sent if self.n == len(self.sent) else self.sent[self.good]

    @cached_property
    def products(self) -> Float64[ndarray, "n n"]:
        """Their inner products."""
        products = gram(self.sent) if self.inner_products is None else self.inner_products
        return products[np.ix_(self.good, self.good)]

    @cached_property
    def distances(self) -> Float64[ndarray, "n n"]:
        """The squared distances between them."""
        return squared_distances(self.products)

    @cached_property
    def lengths(self) -> Float64[ndarray, " n"]:
        """Their lengths."""
        return np.sqrt(self.squares[self.good])

    def along(self, vector: Float[ndarray, " d"]) -> Float64[ndarray, " n"]:
        """Their inner products with ``vector``."""
        return inner(self.sent, vector)[self.good]

    def shares(self, weighted: bool = False) -> Float64[ndarray, " n"]:
        """What they count for: equal parts or, where ``weighted``, as many as the client has training rows.

        Raises ToadstoneError when ``view.rows`` is needed and missing, or 0 for all of them.
        """
        if not weighted:
            return np.full(self.n, 1 / self.n)
        if self.view.rows is None:
            raise ToadstoneError("weighted=True needs view.rows, the clients' numbers of training rows: give them.")
        rows = self.view.rows[self.good].astype(np.float64)
        if (rows < 0).any() or not rows.sum() > 0:
            raise ToadstoneError("view.rows must be numbers of training rows >= 0, not all of them 0.")
        return rows / rows.sum()

    def combination(self, weights: Float[ndarray, " n"]) -> Aggregate:
        """Their sum, each times its weight; a row that is all of it is copied and not computed."""
        best = int(weights.argmax())
        if weights[best] == 1 and np.count_nonzero(weights) == 1:
            return Aggregate(self.sent[np.flatnonzero(self.good)[best]].copy(), weights)
        return Aggregate(weights.astype(self.sent.dtype) @ self.updates, weights)

    def spread_out(self, values: Float[ndarray, "n ..."], other: float = 0.0) -> Float[ndarray, "N ..."]:
        """A value for each of them as one for each who sent, ``other`` for those who are not among them."""
        if self.n == len(self.sent):
            return values
        out = np.full((len(self.sent), *values.shape[1:]), other, values.dtype)
        out[self.good] = values
        return out


class Rule:
    """An aggregator: (N, d) updates to one. A subclass, a frozen dataclass of the paper's hyper-parameters, defines
    one of ``weights`` and ``aggregate``; what all rules do is done here.

    Rows with NaN, infinite values or a length above 1e18 are dropped before the rule looks. They get the weight 0, and
    each of them counts as one of the ``f`` malicious clients of a rule that has this field.

    - ``tolerates``: (a, b) for n >= a f + b, where the proof of the rule holds.
    - ``pairwise``: whether rows are compared with one another. Then the lengths come from the inner products as well,
      and nothing is computed twice.
    - ``requires``: fields of the view without which the rule cannot work; ``previous`` may be None, but must fit.

    Calling it takes an (N, d) array, or what numpy makes one of: a tensor, lists of numbers, a list of vectors. It
    raises ToadstoneError for anything else, such as one vector, when the view lacks what the rule requires
    (NotApplicableError where that is made of the server's rows) or ``f`` is too large, RefusedError when no row is
    left, and what the rule raises.

    >>> @dataclass(frozen=True)
    ... class Shortest(Rule):
    ...     def weights(self, rows: Round) -> ndarray:
    ...         return one_hot(int(rows.lengths.argmin()), rows.n)
    >>> Shortest()(np.array([[3], [np.nan], [-2]], np.float32))
    Aggregate(update=array([-2.], dtype=float32), weights=array([0., 0., 1.]))
    """

    tolerates: ClassVar[tuple[int, int]] = (0, 1)
    pairwise: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        mine = vars(cls)
        if ("weights" in mine) == ("aggregate" in mine) or "__call__" in mine:
            raise TypeError(f"{cls.__name__} must define weights or aggregate, not both, and leave __call__ as it is.")

    @property
    def remembers(self) -> bool:
        """Whether the view must hold what the clients sent in all rounds."""
        return "memory" in self.requires

    @property
    def needs(self) -> tuple[str, ...]:
        """Words of needs.py: the server's rows, where the view must hold what is made of them."""
        return ("server's rows",) if set(self.requires) & _FROM_ROWS else ()

    @final
    def __call__(self, updates: object, *, view: ServerView = ALONE) -> Aggregate:
        updates = as_updates(updates)
        self._check_view(updates, view)
        products = gram(updates) if self.pairwise else None
        squares = squared_lengths(updates) if products is None else products.diagonal()
        good = usable(squares)
        f = still_malicious(getattr(self, "f", 0), good, *self.tolerates)
        rows = Round(updates, good, f, view, squares, products)
        aggregate = self.aggregate(rows)
        return Aggregate(aggregate.update, rows.spread_out(np.asarray(aggregate.weights, np.float64)))

    def weights(self, rows: Round) -> Float[ndarray, " n"]:
        """What each row is multiplied with before all are added up."""
        raise NotImplementedError

    def aggregate(self, rows: Round) -> Aggregate:
        """The update, and the weights of the n rows; for rules that are more than a sum of rows by weights."""
        return rows.combination(self.weights(rows))

    def _check_view(self, updates: Float[ndarray, "N d"], view: ServerView) -> None:
        for word in self.requires:
            known = getattr(view, word)
            if word == "previous":
                if known is not None and (known.shape != updates.shape[1:] or not np.isfinite(known).all()):
                    raise ToadstoneError(f"view.previous must be {updates.shape[1]} finite numbers, as an update is.")
            elif known is None or (isinstance(known, ndarray) and len(known) != len(updates)):
                error = NotApplicableError if word in _FROM_ROWS else ToadstoneError
                raise error(f"{type(self).__name__} needs view.{word}, {_REQUIRED[word]}.")


def as_updates(updates: object) -> Float[ndarray, "N d"]:
    """Updates as an (N, d) floating array, as they are where they are one.

    Tensors are taken to the CPU and out of their graph, whole numbers become float32. Raises ToadstoneError for another
    number of dimensions, rows of unlike lengths and what holds no real numbers.

    >>> as_updates([[1, 2], [3, 4]])
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    try:
        parts = [_numpy(part) for part in updates] if isinstance(updates, list | tuple) else _numpy(updates)
        array = np.asarray(parts)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of unlike lengths, and tensors inside of them
        raise ToadstoneError("updates must be vectors of one length: give each client as many numbers.") from error
    if array.dtype.kind not in "fiub":
        raise ToadstoneError(f"updates must be real numbers, not {_described(updates, array)}: give an (n, d) array.")
    if array.ndim != 2:
        raise ToadstoneError(
            f"updates must have the shape (n, d), a row for each client, not {array.shape}: stack the clients' vectors."
        )
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _numpy(part: object) -> object:
    """A tensor's values, wherever it is; anything else as it is."""
    if not callable(getattr(part, "detach", None)):
        return part
    values = part.detach().to("cpu")  # type: ignore[attr-defined]
    return (values.float() if values.is_floating_point() and values.itemsize < 4 else values).numpy()


def _described(updates: object, array: ndarray) -> str:
    return type(updates).__name__ if array.ndim == 0 else f"{array.dtype.name} values"


def usable(squares: Float64[ndarray, " N"]) -> Bool[ndarray, " N"]:
    """Which rows with these squared lengths a rule may look at: no NaN, nothing infinite, no longer than 1e18.

    Raises RefusedError when there are none.
    """
    good: ndarray = squares <= _LARGEST
    if not good.any():
        raise RefusedError(
            "every update of this round is rejected: none of them is finite and shorter than 1e18, so look at how "
            "the clients train."
        )
    return good


def still_malicious(f: int, good: Bool[ndarray, " N"], times: int, plus: int) -> int:
    """How many of the ``good`` rows may be malicious: each row that is not finite was one of the ``f``.

    Raises ToadstoneError unless n >= times f + plus, before and after those rows are gone.
    """
    n, finite = len(good), int(good.sum())
    rest = max(f - (n - finite), 0)
    for bad, count, kind in ((f, n, "updates"), (rest, finite, "finite updates")):
        if count < times * bad + plus:
            raise ToadstoneError(
                f"f={bad} malicious ones of n={count} {kind} are too many for this rule, which needs "
                f"n >= {times}f + {plus} = {times * bad + plus}: lower f or let more clients take part."
            )
    return rest


def nested(rule: object) -> Iterator[object]:
    """The rule, then the one that it hands its rows to, as ARC does, and so on."""
    while rule is not None:
        yield rule
        rule = getattr(rule, "rule", None)


def one_hot(at: int, n: int) -> Float64[ndarray, " n"]:
    """1 for row ``at`` and 0 for the others.

    >>> one_hot(1, 3)
    array([0., 1., 0.])
    """
    return np.eye(1, n, at)[0]
