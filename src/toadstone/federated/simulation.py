"""The rounds of a federated run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray

from toadstone import needs
from toadstone.core import Data, Goal, Rate
from toadstone.errors import RefusedError, ToadstoneError
from toadstone.evaluation.rates import accuracy
from toadstone.federated.clients import LocalTraining
from toadstone.federated.rounds import RoundRecord, State
from toadstone.federated.rule import Round, Rule, nested
from toadstone.federated.views import Aggregate, Aggregator, AttackerView, ServerView
from toadstone.models.cache import digest_rows
from toadstone.models.encode import fit_encode
from toadstone.models.torch_model import TorchModel
from toadstone.rng import child, torch_seed
from toadstone.rows import check_two_classes
from toadstone.training.train import default_net

if TYPE_CHECKING:
    from toadstone.federated.trainer import Federated


@dataclass(frozen=True)
class _Mean(Rule):
    """The default rule, which is that of ``defenses``: those stand on this folder and cannot be imported here."""

    weighted: bool

    def weights(self, rows: Round) -> Float64[ndarray, " n"]:
        return rows.shares(self.weighted)


class Simulation:
    """The rounds of one run. Iterating plays those that are still to come and yields the record of each, from the
    first on; ``model()`` is the global model as it is by then. Nothing is shared with other runs.

    With ``folder`` a run that was killed goes on after its last whole round and ends with the same numbers.
    """

    def __init__(
        self, settings: Federated, train: Data, seed: int, test: Data | None = None, folder: Path | None = None
    ) -> None:
        check_two_classes(train, "train")
        self.settings, self.seed, self.test, self.folder, self.train = settings, seed, test, folder, train
        encode = fit_encode(train)
        self.design = settings.net or default_net(encode.modality)
        self.local = LocalTraining(
            self.design,
            encode,
            len(train.classes),
            settings.epochs,
            settings.batch_size,
            settings.lr,
            settings.momentum,
            settings.weight_decay,
        )
        self.rule: Aggregator = settings.aggregator or _Mean(settings.weighted)
        for rule in nested(self.rule):
            needs.check(getattr(rule, "needs", ()), {"server_rows": settings.server_rows})
        self.server, self.parts = _shares(settings, train, seed)
        self.output = self.local.output
        self.remembers = any(getattr(rule, "remembers", False) for rule in nested(self.rule))
        if self.remembers and self.output is None:
            raise ToadstoneError(f"net {type(self.design).__name__} has no last linear layer for the rule to remember.")
        self.goal: Goal | None = None
        if settings.attack is not None:
            rows = np.concatenate(self.parts[: settings.malicious])
            self.goal = settings.attack.goal(train.take(rows))
        self.name = _name(settings, seed, train, test) if folder else ""
        self.state = (State.load(folder, self.name) if folder else None) or State(_read_only(self._start()))

    def __iter__(self) -> Iterator[RoundRecord]:
        for number in range(self.settings.rounds):
            if number == len(self.records):
                self._play(number)
                if self.folder:
                    self.state.save(self.folder, self.name)
            yield self.records[number]

    @property
    def records(self) -> list[RoundRecord]:
        """Of the rounds played so far."""
        return self.state.records

    def model(self) -> TorchModel:
        """The global model after the rounds played so far, a copy."""
        net = self.local.module(self.state.weights)
        return TorchModel(net, self.design.feature_layer, self.local.encode, self.train.classes, self.design)

    def _start(self) -> Float[ndarray, " d"]:
        with torch_seed(child(self.seed, "net")):
            return self.local.flat(self.design.build(self.local.encode.shape, self.local.classes))

    def _play(self, number: int) -> None:
        began, s, state = time.perf_counter(), self.settings, self.state
        clients, attacking = self._sample(number)
        updates = self._updates(number, clients, attacking)
        memory = self._memory(clients, updates) if self.remembers else {}
        aggregate, refused = self._aggregate(number, clients, updates, memory)
        state.memory.update(memory)
        if (clients < s.malicious).any():
            state.before = state.weights
        if refused is None:
            state.previous = _read_only(aggregate.update)
            state.weights = _read_only(state.weights + np.float32(s.sampled / s.gamma) * aggregate.update)
        norms, cosines = _norms_and_cosines(updates, aggregate.update)
        right, success = self._rates()
        record = RoundRecord(
            number=number,
            clients=tuple(clients.tolist()),
            malicious=tuple(clients[attacking].tolist()),
            weights=tuple(aggregate.weights.tolist()),
            norms=norms,
            cosines=cosines,
            refused=refused,
            gamma=s.gamma,
            f=int(attacking.sum()),
            told=_f_of(s.aggregator),
            accuracy=right,
            success=success,
            seconds=time.perf_counter() - began,
        )
        state.records.append(record)

    def _rates(self) -> tuple[Rate | None, Rate | None]:
        """Accuracy and the attacker's success on the test rows."""
        if self.test is None:
            return None, None
        model = self.model()
        return accuracy(model, self.test), None if self.goal is None else self.goal.success(model, self.test)

    def _sample(self, number: int) -> tuple[Int[ndarray, " m"], Bool[ndarray, " m"]]:
        """The clients of the round, and which of them attack."""
        s, draw = self.settings, np.random.default_rng(child(self.seed, "sample", str(number)))
        if s.attack_rounds is None:
            clients = draw.choice(s.clients, s.sampled, replace=False)
            return clients, clients < s.malicious
        if number not in s.attack_rounds:
            return draw.choice(s.clients, s.sampled, replace=False), np.zeros(s.sampled, bool)
        others = s.malicious + draw.choice(s.clients - s.malicious, s.sampled - s.malicious, replace=False)
        clients = draw.permutation(np.concatenate([np.arange(s.malicious), others]))
        return clients, clients < s.malicious

    def _updates(
        self, number: int, clients: Int[ndarray, " m"], attacking: Bool[ndarray, " m"]
    ) -> Float[ndarray, "m d"]:
        """The updates of a round: honest ones, and the attack's in the place of malicious ones."""
        data = [self.train.take(self.parts[i]) for i in clients]
        seeds = [child(self.seed, "client", str(number), str(i)) for i in clients]
        updates = self.local.updates(self.state.weights, data, seeds=seeds)
        attack = self.settings.attack
        if attack is None or not attacking.any():
            return _read_only(updates)
        view = AttackerView(
            number=number,
            seed=child(self.seed, "attack", str(number)),
            weights=_read_only(self.state.weights),
            before=self.state.before,
            data=tuple(part for part, bad in zip(data, attacking, strict=True) if bad),
            own=_read_only(updates[attacking]),
            total=len(clients),
            gamma=self.settings.gamma,
            local=self.local,
            benign=_read_only(updates[~attacking]) if attack.omniscient else None,
            aggregator=self.rule if attack.omniscient else None,
        )
        sent = np.asarray(attack.send(view))
        if sent.shape != view.own.shape:
            raise ToadstoneError(
                f"attack {type(attack).__name__} returned an array of shape {sent.shape}, not {view.own.shape}: it "
                "must return one update for each malicious client."
            )
        with np.errstate(over="ignore"):
            updates[attacking] = sent
        return _read_only(updates)

    def _aggregate(
        self, number: int, clients: Int[ndarray, " m"], updates: Float[ndarray, "m d"], memory: dict[int, ndarray]
    ) -> tuple[Aggregate, str | None]:
        """What the rule makes of the round, and why it refused to if it did."""
        weights, server = self.state.weights, self.server
        seed = child(self.seed, "server", str(number))
        view = ServerView(
            number=number,
            seed=seed,
            clients=clients,
            rows=np.array([len(self.parts[i]) for i in clients]),
            previous=self.state.previous,
            memory=np.stack([memory[i] for i in clients.tolist()]) if memory else None,
            output=self.output,
            own=None if server is None else lambda: self.local.updates(weights, [server], seeds=[seed])[0],
            judge=None if server is None else lambda candidates: self.local.losses(weights + candidates, server),
        )
        nothing = Aggregate(np.zeros_like(weights), np.zeros(len(updates)))
        try:
            aggregate = self.rule(updates, view=view)
        except ToadstoneError as error:
            if not isinstance(error, RefusedError) and np.isfinite(updates).all():
                raise  # no attacker's doing: the rule does not suit the round
            return nothing, str(error)
        if not np.isfinite(aggregate.update).all():
            return nothing, f"aggregator {type(self.rule).__name__} returned an update that is not finite."
        return Aggregate(aggregate.update.astype(np.float32), aggregate.weights), None

    def _memory(self, clients: Int[ndarray, " m"], updates: Float[ndarray, "m d"]) -> dict[int, ndarray]:
        """The sums of the output layer's updates of these clients, this round included."""
        memory = {}
        for client, update in zip(clients.tolist(), updates[:, self.output], strict=True):
            before = self.state.memory.get(client, np.zeros_like(update))
            memory[client] = before + update if np.isfinite(update).all() else before
        return memory


def _shares(s: Federated, train: Data, seed: int) -> tuple[Data | None, list[Int[ndarray, " r"]]]:
    """The server's rows, and the row numbers of each client."""
    if s.server_rows >= len(train):
        raise ToadstoneError(f"server_rows is {s.server_rows} of {len(train)} rows: leave some for the clients.")
    order = np.random.default_rng(child(seed, "server rows")).permutation(len(train))
    server, rest = np.sort(order[: s.server_rows]), np.sort(order[s.server_rows :])
    parts = [rest[part] for part in s.partition(train.y[rest], s.clients, seed=child(seed, "partition"))]
    if len(parts) != s.clients or not all(len(part) for part in parts):
        raise ToadstoneError("partition leaves a client without rows: each of them must have one.")
    return train.take(server) if len(server) else None, parts


def _name(settings: Federated, seed: int, train: Data, test: Data | None) -> str:
    """A name for the run, by all that decides its numbers."""
    digest = hashlib.sha256(repr((settings, seed)).encode())
    for data in (train, test):
        if data is not None:
            digest.update(digest_rows(data.x).encode() + data.y.tobytes() + repr(data.classes).encode())
    return digest.hexdigest()


def _read_only(array: ndarray) -> ndarray:
    """A view that nobody can write through."""
    view = array.view()
    view.flags.writeable = False
    return view


def _norms_and_cosines(
    updates: Float[ndarray, "n d"], update: Float[ndarray, " d"]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """The length of each row and its cosine to ``update``; None where that is not a finite number."""
    wide = update.astype(np.float64)
    with np.errstate(all="ignore"):
        products = np.array([(row @ row, row @ wide) for row in (each.astype(np.float64) for each in updates)])
        lengths = np.sqrt(products[:, 0])
        cosines = products[:, 1] / (lengths * np.linalg.norm(wide))
    norms, angles = ([float(v) if np.isfinite(v) else None for v in values] for values in (lengths, cosines))
    return tuple(norms), tuple(angles)


def _f_of(rule: object) -> int | None:
    """The number of malicious clients that a rule, or the rule inside it, is given."""
    return next((f for each in nested(rule) if (f := getattr(each, "f", None)) is not None), None)
