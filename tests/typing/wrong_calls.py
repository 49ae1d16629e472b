"""Wrong uses of the public API: mypy must object to each line that says so, and to no other."""

import numpy as np

import toadstone
from toadstone import attacks, defenses, models, training, triggers
from toadstone.attacks import Backdoor
from toadstone.core import Attack, Data, Detector, Model, Pool, Repair
from toadstone.defenses import NoSuchDefense  # wrong
from toadstone.federated import Federated
from toadstone.goals import BackdoorGoal
from toadstone.registry import entry


def calls(data: Data, clean: Data, model: Model) -> None:
    patch = triggers.Patch(size=2)
    Backdoor("nonsense", no_such_field=3)  # wrong
    Backdoor("nonsense")  # wrong
    Backdoor(patch, target="seven")  # wrong
    Backdoor()  # wrong
    Backdoor(patch).poison(data)  # wrong
    Backdoor(patch).poison(data, 0)  # wrong
    Backdoor(patch).rate = 0.5  # wrong
    Backdoor(patch)(data, seed=0)  # wrong
    attacks.NoSuchAttack  # wrong  # noqa: B018
    triggers.Patch(3, colour="red")  # wrong
    training.Train("mlp")  # wrong
    training.Train(models.MLP((16,))).fit(data)  # wrong
    models.MLP(16)  # wrong
    Federated(clients="many")  # wrong
    BackdoorGoal(triggers.Patch(), 3).success(data, model)  # wrong

    toadstone.audit_data(1, 2, 3)  # wrong
    toadstone.audit_data(data, clean)  # wrong
    toadstone.audit_data(data, truested=clean)  # wrong
    toadstone.audit_model(data, clean)  # wrong
    toadstone.audit_files(3)  # wrong
    toadstone.no_such_function  # wrong  # noqa: B018

    detector = defenses.SpectralSignatures()
    detector.score(model, data, seed=0)  # wrong
    detector.score(model, Pool.of(data, clean))  # wrong
    detector.score(model, data, clean=clean, seed=0)  # wrong
    toadstone.judge(detector, data, model, clean=clean, seed=0)  # wrong
    toadstone.judge(detector, model, data, clean, seed=0)  # wrong
    toadstone.judge(patch, model, data, seed=0)  # wrong
    toadstone.judge(detector, model, data, clean=clean, seed=0).pvalue  # wrong  # noqa: B018
    defenses.Strip().watch(model, np.zeros((1, 8, 8)), seed=0)  # wrong
    defenses.FinePruning().repair(model, clean, seed="0")  # wrong
    toadstone.flag(data)  # wrong

    attack: Attack = detector  # wrong
    repair: Repair = Backdoor(patch)  # wrong
    other: Detector = patch  # wrong
    number: int = toadstone.__version__  # wrong
    print(attack, repair, other, number, entry(3))  # wrong


def call(model: Model, data: Data) -> NoSuchDefense:
    return model.probs(data.x).no_such_field  # wrong
