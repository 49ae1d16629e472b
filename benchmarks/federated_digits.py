"""Each client attack against a few rules, and each rule with rows of the server's own, on embedded digits.

23 clients with 30 digits each train softmax regression for 10 rounds; in all of them the last 5 are malicious. The
figures are error rates on 300 test digits; honest rounds come first. One seed: the clients' training draws nothing.
"""

import time
from dataclasses import replace

import numpy as np
from common import arguments, finish

from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.attacks.federated import (
    alie,
    byzantine,
    data_poisoning,
    fang,
    ipm,
    label_flip,
    mimic,
    min_max,
    optimal,
)
from toadstone.checks.common import toy
from toadstone.checks.federated import SoftmaxClients
from toadstone.defenses.federated import accuracy_check, flame, fltrust, krum, mean, server_validation, trimmed_mean
from toadstone.errors import ToadstoneError
from toadstone.federated.views import AttackerView, ServerView

CLIENTS, MALICIOUS, ROUNDS = 23, 5, 10
RULES = {
    "mean": mean.Mean(),
    "trimmed_mean": trimmed_mean.TrimmedMean(MALICIOUS),
    "krum": krum.Krum(MALICIOUS),
    "multi_krum": krum.MultiKrum(MALICIOUS),
    "fl_trust": fltrust.FLTrust(),
    "flame": flame.FLAME(),
    "accuracy_check": accuracy_check.AccuracyCheck(0.5),
    "server_validation": server_validation.ServerValidation(MALICIOUS),
}
ATTACKS = {
    "none": None,
    "gaussian": byzantine.Gaussian(),
    "sign_flip_5": byzantine.SignFlip(5.0),
    "zero": byzantine.Zero(),
    "same_value": byzantine.SameValue(),
    "mimic": mimic.Mimic(),
    "alie": alie.ALIE(),
    "ipm": ipm.IPM(),
    "min_max": min_max.MinMaxDistance(),
    "min_sum": min_max.MinSumDistance(),
    "fang_krum": fang.FangKrum(),
    "fang_trimmed_mean": fang.FangTrimmedMean(),
    "optimal_alie": optimal.OptimalALIE(),
    "optimal_ipm": optimal.OptimalIPM(),
    "label_flip": label_flip.LabelFlip(),
    "data_poisoning": data_poisoning.DataPoisoning(LabelFlips(0.5)),
}


def digits(quick: bool) -> dict[str, float]:
    """The error rate after the last round, for each attack and rule."""
    rules = {name: RULES[name] for name in ("mean", "krum")} if quick else RULES
    return {f"{a}/{r}": _error(ATTACKS[a], rule) for a in ATTACKS for r, rule in rules.items()}


def _error(attack, rule) -> float:
    clients, train = SoftmaxClients(), toy().train
    data = [train.take(np.arange(30 * i, 30 * i + 30)) for i in range(CLIENTS + 1)]
    honest, weights = CLIENTS - MALICIOUS, np.zeros(650, np.float32)
    for number in range(ROUNDS):
        rows = clients.updates(weights, data, seeds=range(CLIENTS + 1))
        updates = rows[:-1].copy()
        view = AttackerView(
            number, number, weights, None, tuple(data[honest:-1]), updates[honest:].copy(), CLIENTS, 4.6, clients
        )
        if attack is not None:
            full = replace(view, benign=updates[:honest], aggregator=rule) if attack.omniscient else view
            try:
                updates[honest:] = attack(full)
            except ToadstoneError:  # the rule needs more than the attacker can show it
                return float("nan")
        server = ServerView(number, number, own=lambda own=rows[-1]: own, judge=clients.judge(weights, data[-1]))
        try:
            weights = weights + rule(updates, view=server).update
        except ToadstoneError:  # all clients are rejected: the model stays
            continue
    return float(clients.judge(weights, toy().test)(np.zeros((1, 650)))[1][0])


if __name__ == "__main__":
    options = arguments(__doc__)
    started = time.process_time()
    figures = digits(options.quick)
    finish(figures | {"cpu_seconds": time.process_time() - started}, options.json)
