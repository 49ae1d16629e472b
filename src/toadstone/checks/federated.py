"""Conformance of the two sides of a federated round: the server's rules and what malicious clients send.

>>> from toadstone.attacks.federated.byzantine import SignFlip
>>> check_client_attack(SignFlip())  # silent, or a ViolationError that says what is wrong
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import nn

from toadstone.checks.common import ViolationError, check_spec, require, same, toy, untouched
from toadstone.core import Data, Goal
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.errors import ToadstoneError
from toadstone.federated.views import Aggregate, Aggregator, AttackerView, ClientAttack, ServerView
from toadstone.registry import entry, name_of
from toadstone.rng import torch_seed

_CLIENTS, _MALICIOUS = 23, 5  # n >= 4f + 3, which the most demanding rule asks for


@dataclass(frozen=True)
class SoftmaxClients:
    """Clients that take ``steps`` full-batch gradient steps on softmax regression of 8 x 8 digits: a ``Local``."""

    steps: int = 20
    lr: float = 0.1

    def updates(
        self, start: Float[ndarray, " d"], data: Sequence[Data], *, seeds: Sequence[int]
    ) -> Float32[ndarray, "k d"]:
        """Local weights minus ``start``, one row for each data set; nothing is drawn from ``seeds``."""
        return np.array([self._train(start, each) - start for each in data], np.float32)

    def _train(self, start: Float[ndarray, " d"], data: Data) -> Float[ndarray, " d"]:
        x, w = _inputs(data.x[:]), start.astype(np.float64)
        for _ in range(self.steps):
            w = w - self.lr * (x.T @ (_probs(x, w) - np.eye(10)[data.y]) / len(x)).ravel()
        return w

    def judge(self, start: Float[ndarray, " d"], data: Data) -> Callable[[ndarray], tuple[ndarray, ndarray]]:
        """The losses and error rates on ``data`` after candidate updates."""

        def losses(candidates: ndarray) -> tuple[ndarray, ndarray]:
            probs = np.array([_probs(_inputs(data.x[:]), start + u) for u in candidates])
            truth = probs[:, np.arange(len(data)), data.y]
            return -np.log(np.maximum(truth, 1e-30)).mean(1), (probs.argmax(2) != data.y).mean(1)

        return losses

    def module(self, weights: Float[ndarray, " d"]) -> nn.Module:
        """A linear net with these weights."""
        with torch_seed(0):  # the weights that it draws are written over
            net = nn.Linear(65, 10, bias=False)
        with torch.no_grad():
            net.weight.copy_(torch.tensor(weights.reshape(65, 10).T))
        return net

    def flat(self, net: nn.Module) -> Float32[ndarray, " d"]:
        """The weights of such a net as a vector."""
        weight: ndarray = next(net.parameters()).detach().numpy()
        return weight.T.astype(np.float32).ravel()

    @property
    def encode(self) -> Callable[[ndarray], torch.Tensor]:
        """Digits -> 64 grey levels and a 1."""
        return lambda x: torch.tensor(_inputs(x), dtype=torch.float32)


def _inputs(x: ndarray) -> Float[ndarray, "n p"]:
    return np.concatenate([np.asarray(x).reshape(len(x), -1) / 255, np.ones((len(x), 1))], 1)


def _probs(x: Float[ndarray, "n p"], w: Float[ndarray, " d"]) -> Float[ndarray, "n k"]:
    scores = x @ w.reshape(x.shape[1], -1)
    powers = np.exp(np.maximum(scores - scores.max(1, keepdims=True), -700))
    shares: ndarray = powers / powers.sum(1, keepdims=True)
    return shares


@cache
def toy_round() -> tuple[Float32[ndarray, "n d"], ServerView, AttackerView]:
    """A round of 23 clients, 30 digits each: the updates that all of them make honestly, and the views of server and
    attacker, who owns the last 5."""
    train, clients = toy().train, SoftmaxClients()
    data = [train.take(np.arange(30 * i, 30 * i + 30)) for i in range(_CLIENTS + 1)]
    weights = np.zeros(650, np.float32)
    rows = clients.updates(weights, data, seeds=range(_CLIENTS + 1))
    updates, own = rows[:-1], rows[-1]
    for array in (updates, own, weights):
        array.flags.writeable = False
    honest = _CLIENTS - _MALICIOUS
    server = ServerView(
        number=1,
        seed=1,
        clients=np.arange(_CLIENTS),
        rows=np.arange(20, 20 + _CLIENTS),
        previous=own,
        memory=updates[:, 640:].copy(),
        output=slice(640, 650),
        own=lambda: own,
        judge=clients.judge(weights, data[-1]),
    )
    mine = tuple(data[honest:_CLIENTS])
    attacker = AttackerView(1, 1, weights, None, mine, updates[honest:], _CLIENTS, 4.0, clients)
    return updates, server, attacker


def check_aggregator(rule: Aggregator) -> None:
    """Updates are only read, calls are repeatable, a rule that does not draw follows a permutation of its rows,
    rows that are not finite count for nothing, none left or too large an ``f`` is refused; spec round trip. The
    same holds for a ``Rule`` and any other callable."""
    updates, view, _ = toy_round()

    def call(matrix: ndarray, **changed: Any) -> Aggregate:
        return rule(matrix, view=replace(view, **changed))

    with untouched(updates, view.clients, view.rows, view.previous, view.memory):
        once, twice, other = call(updates), call(updates), call(updates, seed=2)
    _valid_aggregate(once, updates)
    require(np.array_equal(once.update, twice.update), "Two calls with one seed differ.")
    require(np.array_equal(once.weights, twice.weights), "The weights of two calls with one seed differ.")
    if np.array_equal(once.update, other.update):
        order = np.random.default_rng(0).permutation(len(updates))
        moved = call(updates[order], **_rows_of_view(view, order))
        same(once.update, moved.update, "The update depends on the order of the clients.")
        same(once.weights[order], moved.weights, "The weights do not follow their clients.")
    for value in (np.nan, np.inf, 1e30):
        broken = updates.copy()
        broken[3, 5] = value
        aggregate = call(broken)
        _valid_aggregate(aggregate, broken)
        require(bool(aggregate.weights[3] == 0), f"An update with a value of {value} must have the weight 0.")
    _refused(lambda: call(np.full_like(updates, np.nan)), "updates none of which is finite")
    if isinstance(getattr(rule, "f", None), int):
        many = (len(updates) + 1) // 2
        _refused(lambda: replace(rule, f=many)(updates, view=view), f"f={many} of n={len(updates)}")  # type: ignore[type-var]
    check_spec(rule)


def check_client_attack(attack: ClientAttack) -> None:
    """The view is only read, calls are repeatable, the rows are (f, d) in single precision for any f, an omniscient
    attack raises when the view lacks the honest updates, the goal can be measured; spec round trip."""
    updates, _, view = toy_round()
    omniscient = getattr(type(attack), "omniscient", None)
    require(isinstance(omniscient, bool), "omniscient must be True or False, of the class.")
    card = entry(name_of(attack)).threat
    knows = ("data",) if card is None else card.knows
    require(not omniscient or "data" in knows, 'An omniscient attack has "data" among what its threat card knows.')
    rule = MultiKrum(f=_MALICIOUS)
    benign = updates[: _CLIENTS - _MALICIOUS]
    full = replace(view, benign=benign, aggregator=rule) if omniscient else view
    with untouched(updates, *view.data, view.weights):
        once, twice = attack.send(full), attack.send(full)
    _valid_rows(once, view.own.shape)
    require(np.array_equal(once, twice, equal_nan=True), "Two calls with one seed differ.")
    first = replace(full, data=view.data[:1], own=view.own[:1], total=_CLIENTS - _MALICIOUS + 1)
    _valid_rows(attack.send(first), (1, view.own.shape[1]))
    if omniscient:
        _refused(lambda: attack.send(view), "a view without the honest updates")
    goal = attack.goal(view.data[0])
    require(isinstance(goal, Goal), "goal must return a Goal.")
    rate = goal.success(toy().model, toy().test)
    require(0 <= rate.low <= rate.value <= rate.high <= 1, "The goal's success is not a rate.")
    check_spec(attack)


def _valid_aggregate(aggregate: Aggregate, updates: ndarray) -> None:
    n, d = updates.shape
    require(aggregate.update.shape == (d,), f"update must be one row of {d}, not {aggregate.update.shape}.")
    require(aggregate.update.dtype == np.float32, f"update must be float32, not {aggregate.update.dtype}.")
    require(aggregate.weights.shape == (n,), f"weights must be one a client, {n}, not {aggregate.weights.shape}.")
    require(bool(np.isfinite(aggregate.update).all()), "update must be finite.")
    require(bool(np.isfinite(aggregate.weights).all()), "weights must be finite.")


def _valid_rows(rows: ndarray, shape: tuple[int, ...]) -> None:
    require(rows.shape == shape, f"An attack must return one row for each attacker, {shape}, not {rows.shape}.")
    require(rows.dtype == np.float32, f"An attack must return float32, not {rows.dtype}.")


def _rows_of_view(view: ServerView, order: ndarray) -> dict[str, ndarray]:
    columns = {"clients": view.clients, "rows": view.rows, "memory": view.memory}
    return {name: column[order] for name, column in columns.items() if column is not None}


def _refused(action: Callable[[], object], what: str) -> None:
    try:
        action()
    except ToadstoneError:
        return
    raise ViolationError(f"It accepts {what}: raise ToadstoneError with one sentence that says what to do.")
