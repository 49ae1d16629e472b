import json
import resource
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from toadstone.core import Data
from toadstone.data import load, split
from toadstone.defenses import ARC, NNM, AccuracyCheck, Bucketing, FLTrust, FoolsGold, ServerValidation
from toadstone.errors import NotApplicableError, RefusedError, ToadstoneError
from toadstone.federated.clients import LocalTraining
from toadstone.federated.partitions import ByClass, Dirichlet
from toadstone.federated.rounds import State
from toadstone.federated.rule import Rule as BaseRule
from toadstone.federated.trainer import Federated
from toadstone.federated.views import Aggregate, ServerView
from toadstone.goals.availability import Availability
from toadstone.models.nets import MLP, Logistic, SmallCNN
from toadstone.registry import entries, from_spec, to_spec
from toadstone.rng import child

ALONE = ServerView()
DIGITS = split(load("digits"), test=300, seed=0)
SMALL = Federated(clients=8, rounds=3, fraction=0.5, net=MLP((6,)), partition=Dirichlet(0.5))


@dataclass(frozen=True)
class Sends:
    """A malicious client that sends a constant, and notes what it was shown."""

    value: float = 0.0
    seen: list = None
    omniscient: ClassVar[bool] = False

    def goal(self, data):
        return Availability()

    def send(self, view):
        if self.seen is not None:
            self.seen.append(view)
        return np.full_like(view.own, self.value)


@dataclass(frozen=True)
class SeesAll(Sends):
    omniscient: ClassVar[bool] = True


@dataclass(frozen=True)
class Replaces(Sends):
    """Model replacement: all malicious clients together ask for weights that are 0.25 everywhere."""

    def send(self, view):
        return np.repeat(view.gamma * (0.25 - view.weights)[None] / len(view.own), len(view.own), 0)


@dataclass(frozen=True)
class Rule:
    """The mean, which notes what it is shown; it raises ``error`` instead when there is one."""

    seen: list
    error: str = ""
    remembers: bool = False

    def __call__(self, updates, *, view=ALONE):
        self.seen.append((updates, view))
        if self.error:
            raise (RefusedError if self.error.startswith("every update") else ToadstoneError)(self.error)
        return Aggregate(updates.mean(0), np.full(len(updates), 1 / len(updates)))


def slow(federated, data, seed):
    """The weights after each round: one client after the other, in double precision on the server."""
    simulation = federated.simulate(data, seed=seed)
    parts, module = simulation.parts, simulation.model().net
    weights = parameters_to_vector(module.parameters()).detach().double()
    found = []
    for record in simulation:
        total, share = torch.zeros_like(weights), 0.0
        for client in record.clients:
            rows = data.take(parts[client])
            x, y = torch.tensor(rows.x / 255.0, dtype=torch.float32)[:, None], torch.tensor(rows.y)
            vector_to_parameters(weights.float(), module.parameters())
            draw = np.random.default_rng(child(seed, "client", str(record.number), str(client)))
            sgd = torch.optim.SGD(module.parameters(), federated.lr, federated.momentum)
            for _ in range(federated.epochs):
                for batch in torch.tensor(draw.permutation(len(rows))).split(federated.batch_size):
                    sgd.zero_grad()
                    torch.nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
                    sgd.step()
            count = len(rows) if federated.weighted else 1
            total += count * (parameters_to_vector(module.parameters()).detach().double() - weights)
            share += count
        n, m = federated.clients, len(record.clients)
        weights = weights + (federated.eta or n / m) * m / n * total / share
        found.append((weights.numpy(), simulation.state.weights))
    return found


@pytest.mark.parametrize(
    "change",
    [{}, {"eta": 1.0}, {"weighted": True}, {"eta": 3.0, "epochs": 2, "momentum": 0.9}, {"net": SmallCNN(2, 8)}],
    ids=str,
)
def test_each_round_is_that_of_a_slow_loop(change):
    rounds = slow(replace(SMALL, **change), DIGITS.train, 3)
    assert len(rounds) == 3
    for expected, found in rounds:
        assert np.abs(expected - found).max() < 1e-5
    assert np.abs(rounds[2][1] - rounds[0][1]).max() > 1e-3


def test_learns_digits():
    trainer = Federated(clients=10, rounds=25, fraction=0.5, net=MLP((32,)), lr=0.3, batch_size=10, epochs=2)
    right = trainer.fit(DIGITS.train, seed=0).probs(DIGITS.test.x).argmax(1) == DIGITS.test.y
    assert right.mean() > 0.9
    assert from_spec(json.loads(json.dumps(to_spec(SMALL)))) == SMALL


@pytest.mark.parametrize(("eta", "gamma"), [(None, 4.0), (2.0, 4.0), (1.0, 8.0)])
def test_a_boost_of_gamma_replaces_the_model(eta, gamma):
    """G + (eta/n) (gamma (X - G) + the honest sum) = X + (eta/n) the honest sum."""
    seen = []
    base = replace(SMALL, rounds=1, eta=eta, attack=Replaces(), malicious=2, attack_rounds=(0,))
    run = base.simulate(DIGITS.train, seed=0)
    record = next(iter(run))
    assert record.gamma == base.gamma == gamma
    spy = replace(base, aggregator=Rule(seen))
    next(iter(spy.simulate(DIGITS.train, seed=0)))
    updates, view = seen[0]
    honest = updates[view.clients >= 2].sum(0)
    assert np.abs(run.state.weights - (0.25 + honest / gamma)).max() < 1e-5
    assert record.malicious == tuple(c for c in record.clients if c < 2)


def test_attack_rounds_bring_all_malicious_clients_and_only_then():
    seen = []
    s = Federated(30, 6, 0.2, attack=Sends(seen=seen), malicious=3, attack_rounds=(1, 4), net=Logistic())
    records = list(s.simulate(DIGITS.train, seed=0))
    assert [set(r.malicious) for r in records] == [set(), {0, 1, 2}, set(), set(), {0, 1, 2}, set()]
    assert [view.number for view in seen] == [1, 4]
    assert all(len(set(r.clients)) == 6 for r in records)
    placed = list(replace(s, rounds=12, attack_rounds=tuple(range(12))).simulate(DIGITS.train, seed=0))
    assert all(len(set(r.clients)) == 6 and len(r.malicious) == 3 for r in placed)
    assert len({tuple(c < 3 for c in r.clients) for r in placed}) > 3  # not always the first rows
    always = Federated(30, 40, 0.2, attack=Sends(), malicious=10, net=Logistic())
    records = list(always.simulate(DIGITS.train, seed=0))
    assert all(r.malicious == tuple(c for c in r.clients if c < 10) for r in records)
    drawn = np.bincount([c for r in records for c in r.clients], minlength=30)
    assert abs(drawn[:10].sum() - 80) < 5 * np.sqrt(240 * 2 / 9)  # a third of 240 places
    assert any(list(r.clients) != sorted(r.clients) for r in records)


@pytest.mark.parametrize("kind", [Sends, SeesAll])
def test_what_the_attacker_sees(kind):
    seen, rule = [], Rule([])
    s = replace(SMALL, rounds=4, fraction=1.0, attack=kind(seen=seen), malicious=3, aggregator=rule)
    run = s.simulate(DIGITS.train, seed=0)
    before = []
    for _ in run:
        before.append(run.state.weights)
    assert len({view.seed for view in seen}) == 4
    for i, view in enumerate(seen):
        assert (view.number, view.total, view.gamma, len(view.data)) == (i, 8, 8.0, 3)
        assert (view.before is None) if i == 0 else np.array_equal(view.before, seen[i - 1].weights)
        assert np.array_equal(view.weights, run.local.flat(_first(s).net) if i == 0 else before[i - 1])
        clients = rule.seen[i][1].clients
        held = [DIGITS.train.take(run.parts[c]) for c in clients if c < 3]
        assert all(np.array_equal(a.x, b.x) for a, b in zip(view.data, held, strict=True))
        seeds = [child(0, "client", str(i), str(c)) for c in clients if c < 3]
        assert np.allclose(view.own, run.local.updates(view.weights, held, seeds=seeds), atol=1e-6)
        for array in (view.weights, view.own, rule.seen[i][0]):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
        if kind is Sends:
            assert view.benign is None
            assert view.aggregator is None
        else:
            assert view.aggregator is rule
            assert np.array_equal(view.benign, rule.seen[i][0][clients >= 3])


def _first(s):
    return s.simulate(DIGITS.train, seed=0).model()


def test_updates_that_are_not_finite_are_dropped_by_the_mean():
    for value in (np.nan, np.inf, 1e30, 3e17):
        s = replace(SMALL, attack=Sends(value), malicious=2, fraction=1.0, weighted=value == np.inf)
        for r in s.simulate(DIGITS.train, seed=0):
            rejected = {c for c, w in zip(r.clients, r.weights, strict=True) if w == 0}
            assert rejected == set(r.malicious) == {0, 1}
            assert sum(r.weights) == pytest.approx(1)
            json.dumps(r.norms + r.cosines, allow_nan=False)
        assert np.isfinite(s.fit(DIGITS.train, seed=0).probs(DIGITS.test.x)).all()


def test_a_round_whose_updates_are_all_rejected_leaves_the_model():
    s = replace(SMALL, attack=Sends(np.nan), malicious=8, attack_rounds=(1,), fraction=1.0)
    run = s.simulate(DIGITS.train, seed=0)
    weights, records = [], []
    for record in run:
        records.append(record)
        weights.append(run.state.weights)
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])
    assert [bool(r.refused) for r in records] == [False, True, False]
    assert records[1].refused.startswith("every update of this round is rejected")
    assert set(records[1].weights) == {0.0}
    assert set(records[1].norms) == set(records[1].cosines) == {None}
    with pytest.raises(ToadstoneError, match="aggregator refused every round, at last because every update"):
        replace(s, attack_rounds=None).fit(DIGITS.train, seed=0)


def test_a_rule_that_does_not_suit_is_no_rejection():
    bad = Rule([], "f=4 malicious ones of n=4 are too many")
    with pytest.raises(ToadstoneError, match="f=4 malicious ones"):
        replace(SMALL, aggregator=bad).fit(DIGITS.train, seed=0)
    s = replace(SMALL, aggregator=bad, attack=Sends(np.nan), malicious=8)  # the attacker's doing: no reason to stop
    assert all("f=4" in r.refused for r in s.simulate(DIGITS.train, seed=0))
    rejecting = Rule([], "every update of this round is rejected: none is trusted.")
    records = list(replace(SMALL, aggregator=rejecting).simulate(DIGITS.train, seed=0))
    assert [r.refused for r in records] == [rejecting.error] * 3
    spoilt = replace(SMALL, aggregator=Rule([]), attack=Sends(np.nan), malicious=8)
    assert all("Rule returned an update that is not finite" in r.refused for r in spoilt.simulate(DIGITS.train, seed=0))


def test_an_attack_that_returns_another_shape():
    @dataclass(frozen=True)
    class Short(Sends):
        def send(self, view):
            return view.own[:, :-1]

    s = replace(SMALL, attack=Short(), malicious=2, fraction=1.0)
    with pytest.raises(ToadstoneError, match=r"attack Short returned an array of shape \(2, 459\), not \(2, 460\)"):
        s.fit(DIGITS.train, seed=0)


def test_what_the_server_sees():
    rule = Rule([])
    s = replace(SMALL, aggregator=rule, server_rows=50)
    run = s.simulate(DIGITS.train, seed=0)
    made, weights = [], [run.state.weights]
    for _ in run:
        made.append(rule.seen[-1][0].mean(0))
        weights.append(run.state.weights)
    dealt = np.concatenate(run.parts)
    server = DIGITS.train.take(np.setdiff1d(np.arange(len(DIGITS.train)), dealt))
    assert len(server) == 50
    assert len(np.unique(dealt)) == len(dealt) == len(DIGITS.train) - 50
    for i, (updates, view) in enumerate(rule.seen):
        assert view.rows.tolist() == [len(run.parts[c]) for c in view.clients]
        assert (view.previous is None) if i == 0 else np.allclose(view.previous, made[i - 1])
        assert view.memory is None
        assert updates[:, view.output].shape == (4, 70)
        assert np.allclose(view.own(), run.local.updates(weights[i], [server], seeds=[view.seed])[0])
        loss, error = view.judge(np.stack([np.zeros_like(weights[0]), updates[1]]))
        for j, candidate in enumerate((weights[i], weights[i] + updates[1])):
            p = replace(_first(s), net=run.local.module(candidate)).probs(server.x)
            assert loss[j] == pytest.approx(-np.log(p[np.arange(50), server.y]).mean(), rel=1e-4)
            assert error[j] == (p.argmax(1) != server.y).mean()
    bare = Rule([])
    next(iter(replace(SMALL, aggregator=bare).simulate(DIGITS.train, seed=0)))
    assert bare.seen[0][1].own is None
    assert bare.seen[0][1].judge is None


def test_the_memory_of_output_layers_is_kept_when_asked_for():
    rule, total = Rule([], remembers=True), {}
    s = replace(SMALL, rounds=5, aggregator=rule)
    run = s.simulate(DIGITS.train, seed=0)
    for record in run:
        updates, view = rule.seen[-1]
        for i, client in enumerate(record.clients):
            total[client] = total.get(client, 0) + updates[i, -70:].astype(np.float64)
            assert np.allclose(view.memory[i], total[client], atol=1e-6)
    assert set(run.state.memory) == set(total)
    assert replace(s, aggregator=Rule([])).simulate(DIGITS.train, seed=0).state.memory == {}
    lost = replace(s, attack=Sends(np.nan), malicious=8, rounds=1, aggregator=Rule([], remembers=True))
    assert all((memory == 0).all() for memory in _played(lost).state.memory.values())


def _played(s):
    run = s.simulate(DIGITS.train, seed=0)
    assert len(list(run)) == s.rounds
    return run


def test_records_measure_what_they_say():
    rule = Rule([])
    s = replace(SMALL, aggregator=rule, attack=Sends(0.5), malicious=4)
    run = s.simulate(DIGITS.train, seed=0, test=DIGITS.test)
    for record, (updates, _) in zip(run, iter(lambda: rule.seen[-1], None), strict=False):
        mean = updates.astype(np.float64).mean(0)
        for row, norm, cosine in zip(updates.astype(np.float64), record.norms, record.cosines, strict=True):
            assert norm == pytest.approx(np.linalg.norm(row))
            assert cosine == pytest.approx(row @ mean / np.linalg.norm(row) / np.linalg.norm(mean), abs=1e-6)
        right = run.model().probs(DIGITS.test.x).argmax(1) == DIGITS.test.y
        assert record.accuracy.value == right.mean()
        assert record.success.value == pytest.approx(1 - right.mean())
        assert record.f == len(record.malicious)
        assert record.told is None
        assert record.seconds > 0
    assert len(rule.seen) == 3


def test_records_say_what_the_rule_was_told():
    @dataclass(frozen=True)
    class Told(Rule):
        f: int = 2

    @dataclass(frozen=True)
    class Around(Rule):
        rule: Rule = None

    assert next(iter(replace(SMALL, aggregator=Told([])).simulate(DIGITS.train, seed=0))).told == 2
    assert next(iter(replace(SMALL, aggregator=Around([], rule=Told([]))).simulate(DIGITS.train, seed=0))).told == 2
    assert next(iter(SMALL.simulate(DIGITS.train, seed=0))).told is None


KILLED = """
import os, sys, numpy as np, torch
torch.set_num_threads(int(sys.argv[2]))  # sums over other numbers of threads round otherwise
from toadstone.data import load, split
from toadstone.models.nets import MLP
from toadstone.federated.trainer import Federated
from toadstone.federated.partitions import Dirichlet
whole, calls = np.savez, []
def half(file, **arrays):
    calls.append(1)
    if len(calls) < 3:
        return whole(file, **arrays)
    file.write(b"half a file")
    file.flush()
    os.kill(os.getpid(), 9)
np.savez = half
s = Federated(clients=8, rounds=5, fraction=0.5, net=MLP((6,)), partition=Dirichlet(0.5))
parts = split(load("digits"), test=300, seed=0)
list(s.simulate(parts.train, seed=0, test=parts.test, folder=sys.argv[1]))
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_the_same_numbers(tmp_path):
    threads = str(torch.get_num_threads())
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), threads], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    assert next(tmp_path.glob(".*/rounds.npz")).read_bytes().endswith(b"half a file")
    s = replace(SMALL, rounds=5)
    straight = s.simulate(DIGITS.train, seed=0, test=DIGITS.test)
    expected = list(straight)
    again = s.simulate(DIGITS.train, seed=0, test=DIGITS.test, folder=tmp_path)
    assert len(again.records) == 2
    found = list(again)
    assert [replace(r, seconds=0) for r in found] == [replace(r, seconds=0) for r in expected]
    assert np.array_equal(again.state.weights, straight.state.weights)
    for run, seed in ((s, 1), (replace(s, lr=0.2), 0)):
        with pytest.raises(ToadstoneError, match="other settings, seed or data"):
            run.simulate(DIGITS.train, seed=seed, test=DIGITS.test, folder=tmp_path)


def test_resuming_keeps_what_attackers_and_rules_remember(tmp_path):
    def run(folder, stop):
        seen, rule = [], Rule([], remembers=True)
        s = replace(SMALL, rounds=4, attack=Sends(0.1, seen), malicious=3, aggregator=rule)
        simulation = s.simulate(DIGITS.train, seed=0)
        if folder:  # the notes that these two take are part of their names, so the name is fixed here
            simulation.folder, simulation.name = folder, "run"
            simulation.state = State.load(folder, "run") or simulation.state
        for record in simulation:
            if record.number == stop:
                break
        return simulation, seen, rule

    run(tmp_path, 1)
    resumed, seen, rule = run(tmp_path, 9)
    straight, all_seen, all_rule = run(None, 9)
    assert len(rule.seen) == 2
    assert np.array_equal(resumed.state.weights, straight.state.weights)
    for (_, a), (_, b) in zip(rule.seen, all_rule.seen[2:], strict=True):
        assert np.array_equal(a.memory, b.memory)
        assert np.array_equal(a.previous, b.previous)
    for a, b in zip(seen, all_seen[-len(seen) :], strict=True):
        assert a.seed == b.seed
        assert np.array_equal(a.before, b.before)


def test_ten_thousand_clients_cost_what_a_round_costs():
    draw = np.random.default_rng(0)
    data = Data(
        draw.integers(0, 256, (20_000, 8, 8), dtype=np.uint8), draw.integers(0, 10, 20_000), tuple("0123456789")
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    s = Federated(10_000, 2, 0.001, net=MLP((1000,)), partition=Dirichlet(1.0))
    records = list(s.simulate(data, seed=0))
    assert all(len(r.clients) == 10 for r in records)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000  # kB; one update of each client would be 3 GB


def test_the_seed_decides_everything():
    once, twice, other = (SMALL.fit(DIGITS.train, seed=s).probs(DIGITS.test.x) for s in (1, 1, 2))
    assert np.array_equal(once, twice)
    assert not np.allclose(once, other)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weighted": True, "aggregator": Rule([])}, "weighted is a setting of the plain mean"),
        ({"malicious": 9, "attack": Sends()}, "malicious is 9 of 8 clients"),
        ({"malicious": 2}, "malicious is 2 and attack is None"),
        ({"attack": Sends()}, "malicious is 0 and attack is Sends"),
        ({"attack_rounds": (1,)}, "attack_rounds must be rounds of an attack"),
        ({"attack": Sends(), "malicious": 2, "attack_rounds": (3,)}, r"attack_rounds must be .* of 0\.\.2"),
        ({"attack": Sends(), "malicious": 2, "attack_rounds": ()}, "attack_rounds must be rounds"),
        ({"attack": Sends(), "malicious": 5, "attack_rounds": (1,)}, "a round has 4 clients"),
    ],
)
def test_impossible_settings(change, sentence):
    with pytest.raises(ToadstoneError, match=sentence):
        replace(SMALL, **change)


def test_data_that_do_not_suit():
    with pytest.raises(ToadstoneError, match="more clients than rows"):
        replace(SMALL, clients=2000).fit(DIGITS.train, seed=0)
    with pytest.raises(ToadstoneError, match="server_rows is 5000 of"):
        replace(SMALL, server_rows=5000).fit(DIGITS.train, seed=0)
    with pytest.raises(ToadstoneError, match="classes is 2 for 4 clients and 10 classes"):
        replace(SMALL, clients=4, partition=ByClass(2)).fit(DIGITS.train, seed=0)
    with pytest.raises(ToadstoneError, match="partition leaves a client without rows"):
        replace(SMALL, partition=lambda y, clients, seed: [np.arange(3)] * 7 + [np.arange(0)]).fit(DIGITS.train, seed=0)
    with pytest.raises(ToadstoneError, match="holds a single class"):
        SMALL.fit(DIGITS.train.take(DIGITS.train.y == 3), seed=0)


@dataclass(frozen=True)
class StrangersRule(BaseRule):
    """A rule that is registered nowhere."""

    requires = ("own",)

    def weights(self, rows):
        return rows.along(rows.view.own())


@pytest.mark.parametrize(
    "rule",
    [
        FLTrust(),
        AccuracyCheck(0.5),
        ServerValidation(1),
        StrangersRule(),
        ARC(1, FLTrust()),
        NNM(1, ARC(1, ServerValidation(1))),
        Bucketing(1, AccuracyCheck(0.5)),
    ],
    ids=repr,
)
def test_a_rule_that_needs_rows_of_the_server_is_refused_before_any_work(rule, monkeypatch):
    settings = replace(SMALL, aggregator=rule)
    assert replace(settings, server_rows=50).simulate(DIGITS.train, seed=0).server is not None

    def forbidden(*arguments, **options):
        raise AssertionError("somebody trained")

    monkeypatch.setattr(LocalTraining, "updates", forbidden)
    with pytest.raises(NotApplicableError, match="server_rows is 0: set rows aside for the server"):
        settings.fit(DIGITS.train, seed=0)
    with pytest.raises(NotApplicableError, match="of the server's own"):
        rule(np.eye(8, dtype=np.float32))


def test_the_table_says_which_rules_need_rows_of_the_server():
    for entry in entries():
        if entry.contract == "aggregator" and entry.own:
            assert ("server's rows" in entry.needs) == bool({"own", "judge"} & set(entry.cls.requires)), entry.name


def test_a_rule_inside_another_is_told_what_the_clients_sent_before():
    inner, outer = FoolsGold(), ARC(0, FoolsGold())
    alone, wrapped = (replace(SMALL, aggregator=rule).simulate(DIGITS.train, seed=0) for rule in (inner, outer))
    for one, other in zip(alone, wrapped, strict=True):
        assert one.weights == pytest.approx(other.weights)
    assert len(alone.records) == 3
