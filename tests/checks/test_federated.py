from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from toadstone.attacks.federated.alie import ALIE
from toadstone.attacks.federated.byzantine import SignFlip
from toadstone.checks import ViolationError
from toadstone.checks.federated import SoftmaxClients, check_aggregator, check_client_attack, toy_round
from toadstone.defenses.federated.krum import Krum
from toadstone.defenses.federated.nnm import NNM
from toadstone.defenses.federated.random_subset import RandomSubset
from toadstone.errors import ToadstoneError
from toadstone.federated.rule import Round, Rule, one_hot
from toadstone.federated.views import Aggregate, Aggregator, AttackerView, ClientAttack, ServerView
from toadstone.goals.availability import Availability
from toadstone.registry import _TABLE, Threat, register

VIEW = ServerView()


def mean(updates):
    good = np.isfinite(updates).all(1) & (np.abs(updates) < 1e18).all(1)
    if not good.any():
        raise ToadstoneError("every update is rejected: look at the clients.")
    return Aggregate(updates[good].mean(0), good / good.sum())


def writes(updates, view):
    updates[0] = 0
    return mean(updates)


RULES = {
    "read-only": writes,
    "Two calls": lambda u, v: replace(mean(u), update=np.random.default_rng().normal(size=u.shape[1]).astype("f")),
    "order of the clients": lambda u, v: replace(mean(u), update=mean(u[:5]).update),
    "weights do not follow": lambda u, v: replace(mean(u), weights=np.arange(len(u)) * mean(u).weights),
    "must be finite": lambda u, v: Aggregate(u.mean(0), np.ones(len(u))),
    "must have the weight 0": lambda u, v: replace(mean(u), weights=np.ones(len(u))),
    "float32, not float64": lambda u, v: replace(mean(u), update=mean(u).update.astype(float)),
    "must be one row of 650": lambda u, v: replace(mean(u), update=mean(u).update[:-1]),
    "weights must be one a client": lambda u, v: replace(mean(u), weights=np.ones(3)),
    "It accepts updates none of which": lambda u, v: mean(np.nan_to_num(u, nan=0)) if np.isnan(u).all() else mean(u),
    "global random generator": lambda u, v: (np.random.rand(), mean(u))[1],  # noqa: NPY002
}


@pytest.mark.parametrize("words", RULES)
def test_what_is_wrong_with_a_rule_is_said(words):
    @register("aggregator")
    @dataclass(frozen=True)
    class Strange:
        def __call__(self, updates: Any, *, view: ServerView = VIEW) -> Aggregate:
            return RULES[words](updates, view)

    try:
        with pytest.raises((ViolationError, ValueError), match=words):
            check_aggregator(Strange())
    finally:
        del _TABLE["strange"]


def test_too_large_an_f_must_be_refused():
    @register("aggregator")
    @dataclass(frozen=True)
    class Strange:
        f: int

        def __call__(self, updates: Any, *, view: ServerView = VIEW) -> Aggregate:
            return mean(updates)

    try:
        with pytest.raises(ViolationError, match="It accepts f=12 of n=23"):
            check_aggregator(Strange(2))
    finally:
        del _TABLE["strange"]


WEIGHTS = {
    "read-only": lambda rows: rows.updates.sort() or rows.shares(),
    "Two calls": lambda rows: np.random.default_rng().random(rows.n),
    "order of the clients": lambda rows: one_hot(0, rows.n),
    "must be finite": lambda rows: np.full(rows.n, np.inf),
}


@pytest.mark.parametrize("words", WEIGHTS)
def test_what_is_wrong_with_the_weights_of_a_rule_is_said(words):
    @register("aggregator")
    @dataclass(frozen=True)
    class Strange(Rule):
        def weights(self, rows: Round) -> Any:
            return WEIGHTS[words](rows)

    try:
        with np.errstate(invalid="ignore"), pytest.raises((ViolationError, ValueError), match=words):
            check_aggregator(Strange())
    finally:
        del _TABLE["strange"]


@pytest.mark.parametrize("rule", [Krum(5), RandomSubset(4)], ids=str)
def test_rules_that_keep_the_contract_pass(rule):
    assert isinstance(rule, Aggregator)
    check_aggregator(rule)


def test_a_callable_of_somebody_elses_passes_as_a_subclass_does():
    @register("aggregator")
    @dataclass(frozen=True)
    class Strange:
        def __call__(self, updates: Any, *, view: ServerView = VIEW) -> Aggregate:
            return mean(updates)

    @register("aggregator")
    @dataclass(frozen=True)
    class Ours(Rule):
        def weights(self, rows: Round) -> Any:
            return rows.shares()

    try:
        for rule in (Strange(), Ours()):
            check_aggregator(rule)
            check_aggregator(NNM(2, rule))
    finally:
        del _TABLE["strange"], _TABLE["ours"]


def lazy(view):
    view.own[0] = 0
    return view.own


ATTACKS = {
    "read-only": lazy,
    "one row for each attacker": lambda view: view.own[0],
    "must return float32": lambda view: view.own.astype(float),
    "Two calls with one seed": lambda view: np.random.default_rng().normal(size=view.own.shape).astype(np.float32),
    "one row for each attacker, ": lambda view: np.zeros((5, 650), np.float32),
}


@pytest.mark.parametrize("words", ATTACKS)
def test_what_is_wrong_with_an_attack_is_said(words):
    @register("client-attack")
    @dataclass(frozen=True)
    class Odd:
        omniscient: ClassVar[bool] = False

        def goal(self, data: Any) -> Availability:
            return Availability()

        def send(self, view: AttackerView) -> Any:
            return ATTACKS[words](view)

    try:
        with pytest.raises((ViolationError, ValueError), match=words):
            check_client_attack(Odd())
    finally:
        del _TABLE["odd"]


def test_an_omniscient_attack_must_say_that_it_sees_nothing():
    @register("client-attack")
    @dataclass(frozen=True)
    class Odd:
        omniscient: ClassVar[bool] = True

        def goal(self, data: Any) -> Availability:
            return Availability()

        def send(self, view: AttackerView) -> Any:
            return view.own

    try:
        with pytest.raises(ViolationError, match="It accepts a view without the honest updates"):
            check_client_attack(Odd())
    finally:
        del _TABLE["odd"]


def test_an_omniscient_attack_must_have_a_threat_card_that_says_so():
    @register("client-attack", threat=Threat(("training",), ("model",), "nothing"))
    @dataclass(frozen=True)
    class Odd:
        omniscient: ClassVar[bool] = True

        def goal(self, data: Any) -> Availability:
            return Availability()

        def send(self, view: AttackerView) -> Any:
            return view.benign[: len(view.own)]

    try:
        with pytest.raises(ViolationError, match='has "data" among what its threat card knows'):
            check_client_attack(Odd())
    finally:
        del _TABLE["odd"]


@pytest.mark.parametrize("attack", [SignFlip(), ALIE()], ids=str)
def test_attacks_that_keep_the_contract_pass(attack):
    assert isinstance(attack, ClientAttack)
    check_client_attack(attack)


def test_the_toy_clients_train_as_torch_does():
    import torch

    clients, data = SoftmaxClients(steps=3), toy_round()[2].data[0]
    start = np.random.default_rng(0).normal(size=650).astype(np.float32) / 10
    net = clients.module(start)
    assert np.array_equal(clients.flat(net), start)
    optimizer = torch.optim.SGD(net.parameters(), lr=clients.lr)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(clients.encode(data.x)), torch.tensor(data.y)).backward()
        optimizer.step()
    update = clients.updates(start, [data], seeds=[0])[0]
    assert np.allclose(clients.flat(net) - start, update, atol=1e-5)
    losses, errors = clients.judge(start, data)(np.stack([np.zeros(650), update]))
    with torch.no_grad():
        scores = net(clients.encode(data.x))
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(data.y))
    assert losses[1] == pytest.approx(float(loss), rel=1e-4)
    assert errors[1] == pytest.approx(float((scores.argmax(1).numpy() != data.y).mean()))


def test_honest_clients_learn():
    updates, server, _ = toy_round()
    losses, errors = server.judge(np.stack([np.zeros(650), updates.mean(0)]))
    assert losses[1] < losses[0]
    assert errors[1] < 0.5 < errors[0]
