"""What it costs to tune an attack on a federated round, beside byzfl 0.0.11 and beside the obvious search.

CPU seconds of one thread, the least of several runs; 100 clients, 20 of them malicious, d = 100,000 coordinates drawn
from the standard normal distribution.

- ``optimal_alie``: the worst scale of ALIE against Multi-Krum, searched by byzfl's line search in all d dimensions,
  by the search of this library in all d dimensions ("obvious"), and by the same in one more dimension than there are
  honest clients. ``tau_*`` are the scales found, ``error_*`` how far they move Multi-Krum's aggregate.
- ``min_max`` and ``min_sum``: the closed forms beside doubling and halving on the definition.
"""

from collections.abc import Callable

import numpy as np
from common import arguments, byzfl, finish, least_seconds
from numpy import ndarray

from toadstone.attacks.federated.min_max import min_max_scale, min_sum_scale, perturbation
from toadstone.attacks.federated.optimal import OptimalALIE, Trials, best_scale
from toadstone.checks.federated import SoftmaxClients
from toadstone.defenses.federated.krum import MultiKrum
from toadstone.federated.views import Aggregate, AttackerView

CLIENTS, MALICIOUS = 100, 20


def search(quick: bool) -> dict[str, float]:
    """The times, their ratios, and the optima."""
    d = 20_000 if quick else 100_000
    rows = np.random.default_rng(0).standard_normal((CLIENTS - MALICIOUS, d), np.float32)
    return {"coordinates": d} | _optimal_alie(rows) | _closed_forms(rows) | _same_optimum(rows[:, :2000].copy())


def _optimal_alie(rows: ndarray) -> dict[str, float]:
    rule, mu, sigma = MultiKrum(MALICIOUS), rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
    own = rows[:MALICIOUS]
    start = np.zeros(rows.shape[1], np.float32)
    view = AttackerView(0, 0, start, None, (), own, CLIENTS, 1.0, SoftmaxClients(), rows, rule)
    trials = Trials(rule, rows, -sigma, 1.0, MALICIOUS)
    aggregators, attacks = byzfl("aggregators.aggregators", "attacks.attacks")
    theirs = attacks.Optimal_ALittleIsEnough(aggregators.MultiKrum(f=MALICIOUS), pre_agg_list=[], f=MALICIOUS)

    def tau(update: ndarray) -> float:
        return float((mu - update) @ sigma / (sigma @ sigma))

    ways: dict[str, tuple[Callable, int]] = {
        "optimal_alie": (lambda u: tau(OptimalALIE().send(view)[0]), 5),
        "byzfl": (lambda u: tau(-theirs(-u)), 2),  # its ALIE adds what ours takes away
        "obvious": (lambda u: best_scale(trials.error, 100.0), 1),
    }
    figures: dict[str, float] = {}
    for name, (way, runs) in ways.items():
        figures[f"seconds_{name}"] = least_seconds(way, rows, runs)
        figures[f"tau_{name}"] = way(rows)
        figures[f"error_{name}"] = trials.error(figures[f"tau_{name}"])
    for name in ("byzfl", "obvious"):
        figures[f"ratio_optimal_alie{'' if name == 'byzfl' else '_obvious'}"] = (
            figures[f"seconds_{name}"] / figures["seconds_optimal_alie"]
        )
    return figures


def _same_optimum(rows: ndarray) -> dict[str, float]:
    """Where byzfl's search ends in few dimensions with 100 trials, not 20, beside ours on byzfl's Multi-Krum,
    which counts one neighbour more than the paper."""
    aggregators, attacks = byzfl("aggregators.aggregators", "attacks.attacks")
    rule = aggregators.MultiKrum(f=MALICIOUS)
    theirs = attacks.Optimal_ALittleIsEnough(rule, pre_agg_list=[], f=MALICIOUS, evals=100)(-rows)
    sigma = rows.std(0)
    ours = Trials(lambda updates: Aggregate(rule(updates), np.ones(len(updates))), rows, -sigma, 1.0, MALICIOUS)
    tau = float((rows.mean(0) + theirs) @ sigma / (sigma @ sigma))
    return {"tau_same_rule": best_scale(ours.error, 100.0), "tau_same_rule_byzfl": tau}


def _closed_forms(rows: ndarray) -> dict[str, float]:
    q = perturbation(rows, "unit")
    figures: dict[str, float] = {}
    for name, closed, loop in (("min_max", min_max_scale, _widest), ("min_sum", min_sum_scale, _greatest_sum)):
        figures[f"seconds_{name}"] = least_seconds(lambda u, closed=closed: closed(u, q), rows, 5)
        figures[f"seconds_{name}_loop"] = least_seconds(lambda u, loop=loop: _by_halving(u, q, loop), rows, 1)
        figures[f"ratio_{name}"] = figures[f"seconds_{name}_loop"] / figures[f"seconds_{name}"]
        figures[f"scale_{name}"], figures[f"scale_{name}_loop"] = closed(rows, q), _by_halving(rows, q, loop)
    return figures


def _widest(squares: ndarray) -> float:
    return float(squares.max(-1).max())


def _greatest_sum(squares: ndarray) -> float:
    return float(squares.sum(-1).max())


def _by_halving(rows: ndarray, q: ndarray, measure: Callable[[ndarray], float]) -> float:
    """Steps of 10 that double while they are allowed and are halved when they are not, to 1e-5."""
    limit = measure(np.array([((rows - row) ** 2).sum(1) for row in rows]))
    mu, step, scale = rows.mean(0), 10.0, 0.0
    grows = True
    while step > 1e-5:
        update = mu - np.float32(scale + step) * q.astype(np.float32)
        if measure(((rows - update) ** 2).sum(1)) <= limit:
            scale += step
            step = 2 * step if grows else step / 2
        else:
            step, grows = step / 2, False
    return scale


if __name__ == "__main__":
    options = arguments(__doc__)
    finish(search(options.quick), options.json)
