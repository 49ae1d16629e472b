"""Federated learning's nouns and verbs: what the server and the attacker each see in a round.

Everything is about updates, local weights minus global weights, as rows of one float32 matrix (n, d): rules that look
at raw weights drown the clients' differences in what all have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float, Integer
from numpy import ndarray

from toadstone.core import Data, Goal

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class ServerView:
    """What a server knows in a round beside the updates; a rule says when it lacks what it needs.

    - ``number``: of the round, from 0. ``seed``: for rules that draw.
    - ``clients``: (n,) who sent each row. ``rows``: (n,) how many training rows each of them has.
    - ``previous``: (d,) what the round before was aggregated to, None at first.
    - ``memory``: (n, d') the sum of the output layer's updates of each of these clients over all rounds, this one
      included, for rules whose ``remembers`` is True; ``output`` is where that layer lies in d.
    - ``own()``: (d,) the update that the server trains from rows of its own.
    - ``judge(candidates)``: for (k, d) candidate updates, the (k,) losses and the (k,) error rates of the global
      model after each, on the server's own rows.
    """

    number: int = 0
    seed: int = 0
    clients: Integer[ndarray, " n"] | None = None
    rows: Integer[ndarray, " n"] | None = None
    previous: Float[ndarray, " d"] | None = None
    memory: Float[ndarray, "n e"] | None = None
    output: slice | None = None
    own: Callable[[], ndarray] | None = None
    judge: Callable[[ndarray], tuple[ndarray, ndarray]] | None = None


@dataclass(frozen=True, eq=False)
class Aggregate:
    """What a server makes of a round: one update (d,), and what each client counted for.

    ``weights`` (n,) are 0 for a client who was rejected; they need not sum to 1. Rules that choose in each coordinate
    anew have a 0 for rows that were not finite and an equal share for all others.
    """

    update: Float[ndarray, " d"]
    weights: Float[ndarray, " n"]


@runtime_checkable
class Aggregator(Protocol):
    """Combines the updates of n clients, (n, d), into one, (d,)."""

    def __call__(self, updates: Float[ndarray, "n d"], *, view: ServerView = ...) -> Aggregate: ...


@runtime_checkable
class Local(Protocol):
    """How clients train, for whoever is allowed to do as they do: the attacker, and a server with rows of its own."""

    def updates(
        self, start: Float[ndarray, " d"], data: Sequence[Data], *, seeds: Sequence[int]
    ) -> Float[ndarray, "k d"]:
        """Local weights minus ``start`` (d,), one row for each data set, after the clients' own epochs and steps."""
        ...

    def module(self, weights: Float[ndarray, " d"]) -> nn.Module:
        """A net of its own with these weights; ``encode`` makes its inputs."""
        ...

    def flat(self, net: nn.Module) -> Float[ndarray, " d"]:
        """The weights of a net as a vector."""
        ...

    @property
    def encode(self) -> Callable[[ndarray], object]:
        """Stored rows -> input tensor."""
        ...


@dataclass(frozen=True, eq=False)
class AttackerView:
    """What the attacker's f clients of a round see together.

    - ``number``, ``seed``: as the server's. ``weights``: (d,) the global model, ``before``: (d,) that of the last
      round in which the attacker was there, None at first.
    - ``data``: the f clients' rows, as given to them. ``own``: (f, d) the updates that honest training on them gives.
    - ``total``: clients of the round, honest ones included. ``gamma``: n / eta, what an update must be multiplied
      with for the server to add the whole of it under averaging, by all f together.
    - ``benign``: (total - f, d) the honest clients' updates and ``aggregator`` the server's rule, for omniscient
      attacks alone; None for all others.
    - ``local``: how clients train.
    """

    number: int
    seed: int
    weights: Float[ndarray, " d"]
    before: Float[ndarray, " d"] | None
    data: tuple[Data, ...]
    own: Float[ndarray, "f d"]
    total: int
    gamma: float
    local: Local
    benign: Float[ndarray, "h d"] | None = None
    aggregator: Aggregator | None = None


@runtime_checkable
class ClientAttack(Protocol):
    """What malicious clients send instead of their updates: (f, d).

    ``omniscient`` attacks are shown the honest clients' updates and the server's rule.
    """

    omniscient: ClassVar[bool]

    def goal(self, data: Data) -> Goal:
        """What the attacker wants of the final model; ``data``: rows that malicious clients hold."""
        ...

    def send(self, view: AttackerView) -> Float[ndarray, "f d"]: ...
