"""Uses of the public API to which mypy must not object."""

import numpy as np

import toadstone
from toadstone import attacks, defenses, models, training, triggers
from toadstone.core import Attack, Data, Detector, Evidence, Inspector, Mended, Model, Monitor, Poison, Repair, Scores
from toadstone.evaluation.judgement import judge
from toadstone.federated import Federated
from toadstone.goals import BackdoorGoal
from toadstone.registry import entry


def calls(data: Data, clean: Data, model: Model) -> None:
    attack: Attack = attacks.Backdoor(triggers.Patch(size=2), target=3, rate=0.01)
    poison: Poison = attack.poison(data, seed=0)
    trained: Model = training.Train(models.MLP((16,)), epochs=2).fit(poison.apply(data), seed=0)

    detector: Detector = defenses.SpectralSignatures()
    scores: Scores = judge(detector, trained, data, clean=clean, seed=0)
    judge(detector, trained, data, seed=0)
    number: int = toadstone.flag(scores, fdr=0.1).rows.sum()

    inspector: Inspector = defenses.NeuralCleanse()
    evidence: Evidence = inspector.inspect(model, clean, seed=0)
    repair: Repair = defenses.FinePruning()
    mended: Mended = repair.repair(model, clean, evidence=evidence, seed=0)
    monitor: Monitor = defenses.Strip(blends=10)
    monitor.watch(mended.model, np.zeros((1, 8, 8)), clean=clean, seed=number)

    rate: toadstone.Rate = BackdoorGoal(triggers.Patch(), 3).success(model, data)
    low: float = rate.low
    name: str = entry("strip").name + toadstone.__version__
    print(low, name, toadstone.audit_data(data, trusted=clean).audit.verdict)
    Federated(clients=8, rounds=3).fit(data, seed=0)
