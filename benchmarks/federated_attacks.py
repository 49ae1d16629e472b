"""Attacks that train, on MNIST: 100 clients, 10 a round, rows dealt by Dirichlet(0.9), 784-100-10 with ReLU.

Each seed trains one global model for 100 honest rounds, 2 epochs a client, batches of 20, lr 0.1; all attacks start
from it. A round of attack has one malicious client unless more are named. The server averages (gamma
10) unless another rule is named; the clip bound is the median length of the last honest updates. 3 seeds, means with
95% intervals; the clean twin runs the same rounds without an attack.

- `replacement/RULE/...`: model replacement in round 0, a 3 x 3 square on half of the rows for class 7: accuracy and
  success before, after, five honest rounds later, and the clean twin's then. `model_replacement_asr`: after, by the
  mean. `data_poisoning_asr`: the same rows without boost, honest epochs.
- `boosting_confidence`, `boosting_success`: two test images of class 4 to become a 9, after one round of explicit
  boosting. `boosting_accept_rate`, `stealth_accept_rate`: the share of ten rounds of attack in which Multi-Krum (it
  keeps 9 of 10) let the attacker's update count (weight above 0); `without_rho` is the stealthy one at rho 0.
  `.../krum/accept_rate`: the same of Krum. `NAME/RULE/confidence` and `accuracy` after the ten. Stealthy: boost 0.3,
  rho 0.1, as many honest steps as a client takes; boosted: 10.
- `dba/...`: 20 rounds of four attackers with one of four bars of 1 x 4 each on 30% of their rows, against four with
  all of them on 7.5% (as many pixels) and on 30%: success of the whole, at the end and ten honest rounds later.
- `neurotoxin/...`: ten rounds of four attackers on 95% of the weights, and on all; success by the end and after 60
  honest rounds.
- `edge_case/...`: digits of one class, turned by a quarter, that no honest client has, become a 1; ten rounds of
  three attackers: updates within the clip bound, within half of it and boosted, and of any length; `accept_rate` of
  Multi-Krum, which drops three.
- `ada/FREQUENCY/...`: errors on class 2, the mean over all rounds, and `after` the attacks alone, which come once in
  10 and once in 100 rounds, with the chosen target and with others drawn at random (three a seed).

Needs `TOADSTONE_DATA`. `--quick`: one seed, fewer rounds, a third of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from common import arguments, finish, spreads

from toadstone import Data, load
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.semantic import Semantic
from toadstone.attacks.federated.ada import ADA
from toadstone.attacks.federated.data_poisoning import DataPoisoning
from toadstone.attacks.federated.distributed_backdoor import DistributedBackdoor
from toadstone.attacks.federated.edge_case import EdgeCase
from toadstone.attacks.federated.model_replacement import ModelReplacement
from toadstone.attacks.federated.neurotoxin import Neurotoxin
from toadstone.attacks.federated.targeted_poisoning import TargetedPoisoning
from toadstone.defenses.federated.flame import FLAME
from toadstone.defenses.federated.fltrust import FLTrust
from toadstone.defenses.federated.krum import Krum, MultiKrum
from toadstone.defenses.federated.median import CoordinateMedian
from toadstone.defenses.federated.norm_clipping import NormClipping
from toadstone.evaluation.rates import accuracy
from toadstone.federated.partitions import Dirichlet
from toadstone.federated.rounds import RoundRecord, State
from toadstone.federated.simulation import Simulation
from toadstone.federated.trainer import Federated
from toadstone.goals.class_error import ClassError
from toadstone.models.nets import MLP
from toadstone.triggers import Accessory, Patch, Where
from toadstone.triggers.distributed import Distributed

BASE = Federated(rounds=100, partition=Dirichlet(0.9), net=MLP((100,)), epochs=2, server_rows=100)
BACKDOOR = Backdoor(Patch(3), target=7, rate=0.3)
BARS = np.zeros((4, 10, 4), np.uint8)  # four bars of 1 x 4, white and opaque, 2 pixels apart
BARS[::3, np.r_[:4, 6:10]] = 255
REPLACED = Backdoor(Patch(3), target=7, rate=0.5)
WHOLE = Distributed(Accessory(BARS, 0.0, 0.0, 10 / 28), 4)
TAIL = Semantic(Where("tail", (1,)), target=1)


@dataclass(frozen=True, eq=False)
class World:
    """A converged model and what it was trained on; ``bound`` is the median length of honest updates."""

    train: Data
    test: Data
    seed: int
    weights: np.ndarray
    bound: float

    def run(self, settings: Federated, train: Data | None = None, test: Data | None = None) -> Simulation:
        """A run that starts from the model."""
        simulation = settings.simulate(train or self.train, seed=self.seed, test=test)
        simulation.state = State(self.weights)
        return simulation

    def attacked(self, attack: Any, attacks: tuple[int, ...], rounds: int, **changed: Any) -> Federated:
        """The settings of a run of ``attack``, by one client unless ``changed`` says otherwise."""
        options = {"malicious": 1, **changed}
        return replace(BASE, rounds=rounds, attack=attack, attack_rounds=attacks, **options)


def world(seed: int, quick: bool) -> World:
    data = load("mnist")
    train, test = (data.take(np.flatnonzero(data.meta["part"] == part)) for part in ("train", "test"))
    train = train.take(np.arange(20_000)) if quick else train
    test = test.take(np.arange(2_000)) if quick else test
    simulation = replace(BASE, rounds=60 if quick else BASE.rounds).simulate(train, seed=seed)
    list(simulation)
    length = float(np.median([n for record in simulation.records[-5:] for n in record.norms]))
    return World(train, test, seed, simulation.state.weights, length)


def rules(bound: float) -> dict[str, Any]:
    return {
        "mean": None,
        "clipping": NormClipping(bound),
        "krum": Krum(1),
        "median": CoordinateMedian(),
        "fltrust": FLTrust(),
        "flame": FLAME(),
    }


def replacement(w: World) -> dict[str, float]:
    """Model replacement in one round under each rule."""
    figures, attack = {}, ModelReplacement(REPLACED, epochs=30)
    goal, begin = REPLACED.goal(w.train), w.run(BASE).model()
    figures["replacement/before/accuracy"] = accuracy(begin, w.test).value
    figures["replacement/before/success"] = goal.success(begin, w.test).value
    for name, rule in rules(w.bound).items():
        records = list(w.run(w.attacked(attack, (0,), 6, aggregator=rule), test=w.test))
        twin = w.run(replace(BASE, rounds=6, aggregator=rule))
        list(twin)
        key = f"replacement/{name}"
        figures |= _both(f"{key}/after", records[0]) | _both(f"{key}/later", records[-1])
        figures[f"{key}/twin_success"] = goal.success(twin.model(), w.test).value
        figures[f"{key}/twin_accuracy"] = accuracy(twin.model(), w.test).value
    plain = w.run(w.attacked(DataPoisoning(REPLACED), (0,), 1), test=w.test)
    figures["data_poisoning_asr"] = next(iter(plain)).success.value
    return figures | {"model_replacement_asr": figures["replacement/mean/after/success"]}


def _both(key: str, record: RoundRecord) -> dict[str, float]:
    return {f"{key}/accuracy": record.accuracy.value, f"{key}/success": record.success.value}


def targeted(w: World) -> dict[str, float]:
    """Explicit boosting and alternating minimisation."""
    begin = w.run(BASE)
    right = begin.model().probs(w.test.x).argmax(1) == w.test.y
    images = tuple(w.test.x[np.flatnonzero((w.test.y == 4) & right)[:2]])
    boosting, goal = TargetedPoisoning(images, 9), TargetedPoisoning(images, 9).goal(w.train)
    steps = max(1, round(2 * len(begin.parts[0]) / 20 / 10))
    stealth = TargetedPoisoning(images, 9, lr=0.1, boost=0.3, stealth_steps=steps, rho=0.1)
    once = w.run(w.attacked(boosting, (0,), 1), test=w.test)
    (record,) = once
    figures = {"confidence_before": float(goal.confidence(begin.model()).mean())}
    figures |= {"boosting_confidence": float(goal.confidence(once.model()).mean())}
    figures |= {"boosting_success": record.success.value, "boosting_accuracy": record.accuracy.value}
    settings = {"boosting": boosting, "stealth": stealth, "without_rho": replace(stealth, rho=0.0)}
    for name, attack in settings.items():
        for rule_name, rule in (("mean", None), ("krum", Krum(1)), ("multi_krum", MultiKrum(1))):
            run = w.run(w.attacked(attack, tuple(range(10)), 10, aggregator=rule))
            figures[f"{name}/{rule_name}/accept_rate"] = float(np.mean([_accepted(each) for each in run]))
            figures[f"{name}/{rule_name}/confidence"] = float(goal.confidence(run.model()).mean())
            figures[f"{name}/{rule_name}/accuracy"] = accuracy(run.model(), w.test).value
        figures[f"{name}_accept_rate"] = figures[f"{name}/multi_krum/accept_rate"]
    return figures


def _accepted(record: RoundRecord) -> bool:
    """Whether the rule let an attacker's update count."""
    return any(record.weights[record.clients.index(client)] > 0 for client in record.malicious)


def distributed(w: World, rounds: int) -> dict[str, float]:
    """A distributed trigger against the whole one, four attackers each."""
    figures = {}
    attacks = {
        "pieces": DistributedBackdoor(WHOLE, 7, 0.3, epochs=BASE.epochs, lr=BASE.lr),
        "whole_equal_pixels": DataPoisoning(Backdoor(WHOLE, 7, 0.075)),
        "whole_equal_rows": DataPoisoning(Backdoor(WHOLE, 7, 0.3)),
    }
    for name, attack in attacks.items():
        run = w.run(w.attacked(attack, tuple(range(rounds)), rounds + 10, malicious=4), test=w.test)
        records = list(run)
        figures |= _both(f"dba/{name}/end", records[rounds - 1]) | _both(f"dba/{name}/later", records[-1])
    return figures


def lasting(w: World, later: int) -> dict[str, float]:
    """Neurotoxin against the same attack on all weights."""
    figures = {}
    for name, share in (("quiet", 0.95), ("all", 1.0)):
        attack = Neurotoxin(BACKDOOR, share)
        run = w.run(w.attacked(attack, tuple(range(10)), 10 + later, malicious=4), test=w.test)
        rates = [record.success.value for record in run]
        figures[f"neurotoxin/{name}/end"] = rates[9]
        figures[f"neurotoxin/{name}/later"] = rates[-1]
    return figures


def turned(data: Data, rows: np.ndarray) -> Data:
    """The data with some rows turned by a quarter, which its column says."""
    x, tail = np.array(data.x), np.zeros(len(data), int)
    x[rows], tail[rows] = np.rot90(x[rows], axes=(1, 2)), 1
    return Data(x, data.y, data.classes, {"tail": tail})


def edge_case(w: World) -> dict[str, float]:
    """Rows of the tail that three attackers alone hold, with and without the ball."""
    mine = np.concatenate(w.run(BASE).parts[:3])
    label = int(np.bincount(w.train.y[mine][w.train.y[mine] != 1]).argmax())
    train = turned(w.train, mine[w.train.y[mine] == label])
    tail_test = turned(w.test, np.flatnonzero(w.test.y == label))
    figures = {"edge_case/rows": float(train.meta["tail"].sum())}
    attacks = {
        "ball": EdgeCase(TAIL, w.bound, lr=0.1),
        "replaced": EdgeCase(TAIL, w.bound / 2, lr=0.1, replace=True),
        "free": EdgeCase(TAIL, 1e9, lr=0.1),
    }
    for name, attack in attacks.items():
        for rule_name, rule in (("mean", None), ("clipping", NormClipping(w.bound)), ("multi_krum", MultiKrum(3))):
            run = w.run(w.attacked(attack, tuple(range(10)), 10, aggregator=rule, malicious=3), train=train)
            key, accepted = f"edge_case/{name}/{rule_name}", [_accepted(record) for record in run]
            figures[f"{key}/success"] = attack.goal(train).success(run.model(), tail_test).value
            figures[f"{key}/accuracy"] = accuracy(run.model(), w.test).value
            figures |= {f"{key}/accept_rate": float(np.mean(accepted))} if rule_name == "multi_krum" else {}
    twin = w.run(replace(BASE, rounds=10), train=train)
    list(twin)
    return figures | {"edge_case/twin/success": attacks["ball"].goal(train).success(twin.model(), tail_test).value}


def ada(w: World, rounds: int) -> dict[str, float]:
    """The chosen target against targets drawn at random, at two frequencies."""
    small = w.test.take(np.flatnonzero(w.test.y == 2))

    def errors(attack: Any, every: int) -> tuple[float, float]:
        when = tuple(range(0, rounds, every))
        run = w.run(w.attacked(attack, when, rounds) if attack else replace(BASE, rounds=rounds))
        rates = np.array([ClassError(2).success(run.model(), small).value for _ in run])
        return float(rates.mean()), float(rates[list(when)].mean())

    others = np.random.default_rng(w.seed).permutation(np.setdiff1d(np.arange(10), 2))[:3].tolist()
    rates = {"ada/twin": errors(None, 1)[0]}
    for every in (10, 100):
        random = np.mean([errors(ADA(2, target), every) for target in others], axis=0).tolist()
        for name, pair in (("chosen", errors(ADA(2), every)), ("random", random)):
            rates |= {f"ada/{1 / every:g}/{name}": pair[0], f"ada/{1 / every:g}/{name}/after": pair[1]}
    return rates


def parts(seed: int, quick: bool) -> Iterator[dict[str, float]]:
    w = world(seed, quick)
    yield {"clip_bound": w.bound}
    yield replacement(w)
    yield targeted(w)
    yield distributed(w, 8 if quick else 20)
    yield lasting(w, 15 if quick else 60)
    yield edge_case(w)
    yield ada(w, 20 if quick else 100)


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    runs = []
    for seed in range(1 if options.quick else 3):
        runs.append({name: value for part in parts(seed, options.quick) for name, value in part.items()})
    finish(runs[0] if options.quick else spreads(runs), options.json)


if __name__ == "__main__":
    main()
