"""Federated averaging with malicious clients. McMahan, Moore, Ramage, Hampson & Aguera y Arcas, AISTATS 2017,
arXiv:1602.05629; the server's learning rate as in Bagdasaryan, Veit, Hua, Estrin & Shmatikov, AISTATS 2020,
arXiv:1807.00459."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.federated.partitions import IID, Partition
from toadstone.federated.simulation import Simulation
from toadstone.federated.views import Aggregator, ClientAttack
from toadstone.fields import Count, Fraction, NonNegative, Positive, Remainder, Whole
from toadstone.models.nets import Net
from toadstone.models.torch_model import TorchModel
from toadstone.progress import track
from toadstone.registry import register


@register("trainer", needs=("labels",))
@dataclass(frozen=True)
class Federated:
    """Clients train on rows of their own, a server adds up what they send.

    In each round m = fraction * clients of the n clients, drawn at random, go from the global model G to local models
    L_i (see LocalTraining), and with u_i = L_i - G the server does

        G <- G + (eta * m / n) * rule(u_1, ..., u_m);

    for the mean, which is the rule when ``aggregator`` is None, that is G + (eta / n) * sum of u_i. The first
    ``malicious`` clients (0, 1, ...) send what ``attack`` makes instead. A round whose updates are all rejected
    leaves G as it was.

    Works for what a server and malicious clients do to each other. Fails to show what a network does: every client
    answers in time, and all answers reach the server as they were sent.

    - ``clients``: n. ``rounds``: at least 1. ``fraction``: in (0, 1], of the clients in each round.
    - ``aggregator``: the rule; ``weighted``: the mean counts clients by their rows, for ``aggregator`` None alone.
    - ``attack`` and ``malicious``: both or none. ``attack_rounds``: rounds, from 0, in which all malicious clients
      take part and attack, while in others they are honest; None: they attack whenever they are drawn.
    - ``eta``: above 0; None takes n / m, so that G moves by all that the rule returns.
    - ``partition``: who holds which rows. ``server_rows``: rows that no client gets, for rules that need some.
    - ``net``, ``epochs``, ``batch_size``, ``lr``, ``momentum``, ``weight_decay``: of the clients; ``net`` None takes
      what ``Train`` takes.

    Raises ToadstoneError for impossible settings, one class, more clients than rows, a rule that cannot work with so
    many clients, an attack that returns another shape, and when every round was refused.

    >>> Federated(clients=100, fraction=0.1).gamma, Federated(clients=100, fraction=0.1, eta=1.0).gamma
    (10.0, 100.0)
    """

    clients: Count = 100
    rounds: Count = 20
    fraction: Fraction = 0.1
    aggregator: Aggregator | None = None
    attack: ClientAttack | None = None
    malicious: Whole = 0
    attack_rounds: tuple[int, ...] | None = None
    eta: Positive | None = None
    weighted: bool = False
    partition: Partition = field(default_factory=IID)
    net: Net | None = None
    epochs: Count = 1
    batch_size: Count = 20
    lr: Positive = 0.1
    momentum: Remainder = 0.0
    weight_decay: NonNegative = 0.0
    server_rows: Whole = 0

    def __post_init__(self) -> None:
        if self.weighted and self.aggregator is not None:
            raise ToadstoneError("weighted is a setting of the plain mean: leave it False with another aggregator.")
        if self.malicious > self.clients:
            raise ToadstoneError(f"malicious is {self.malicious} of {self.clients} clients: give at most that many.")
        if (self.attack is None) != (self.malicious == 0):
            raise ToadstoneError(f"malicious is {self.malicious} and attack is {self.attack}: give both or none.")
        self._check_rounds()

    def _check_rounds(self) -> None:
        if self.attack_rounds is None:
            return
        if self.attack is None or not set(self.attack_rounds) <= set(range(self.rounds)) or not self.attack_rounds:
            raise ToadstoneError(
                f"attack_rounds must be rounds of an attack, of 0..{self.rounds - 1}, not {self.attack_rounds}."
            )
        if self.malicious > self.sampled:
            raise ToadstoneError(
                f"malicious is {self.malicious} but a round has {self.sampled} clients, and attack_rounds wants all "
                "of them in it: raise fraction."
            )

    @property
    def sampled(self) -> int:
        """m, the clients of a round."""
        return max(1, round(self.fraction * self.clients))

    @property
    def gamma(self) -> float:
        """n / eta: what an update must be multiplied with for the mean to move G by the whole of it."""
        return float(self.sampled) if self.eta is None else self.clients / self.eta

    def fit(self, train: Data, *, seed: int) -> TorchModel:
        """The global model after the last round."""
        simulation = self.simulate(train, seed=seed)
        rounds = iter(simulation)
        for _ in track(range(self.rounds), "federated rounds"):
            next(rounds)
        if all(record.refused for record in simulation.records):
            raise ToadstoneError(f"aggregator refused every round, at last because {simulation.records[-1].refused}")
        return simulation.model()

    def simulate(
        self, train: Data, *, seed: int, test: Data | None = None, folder: str | os.PathLike[str] | None = None
    ) -> Simulation:
        """The same, round by round; ``test`` rows are measured on after each, ``folder`` keeps the last one."""
        return Simulation(self, train, seed, test, None if folder is None else Path(folder))
