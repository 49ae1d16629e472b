"""Correlated clusters of label flips. Xiao, Biggio, Nelson, Xiao, Eckert & Roli, Neurocomputing 160, 2015,
arXiv:2206.00352."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from toadstone.attacks.data.alfa import Machine, Rows, Signs, two_classes
from toadstone.attacks.data.label_flips import budget, flipped
from toadstone.core import Data, Poison
from toadstone.fields import Count, Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.progress import track
from toadstone.registry import Threat, register
from toadstone.rng import child


def flip_error(x: Rows, s: Signs, chosen: Bool[ndarray, " n"], machine: Machine) -> float:
    """The error on the true signs ``s`` of a machine that is trained with the rows ``chosen`` flipped."""
    labels = np.where(chosen, -s, s)
    if abs(labels.sum()) == len(s):  # a single class is left: there is nothing to train
        return float((labels != s).mean())
    return float((machine.fit(x, labels).predict(x) != s).mean())


def mutate(chosen: Bool[ndarray, " n"], count: int, draws: int, rng: np.random.Generator) -> Bool[ndarray, "m n"]:
    """Up to ``draws`` clusters that differ from ``chosen`` in one drawn row; a full one of ``count`` rows gives one
    up."""
    pool = np.flatnonzero(chosen) if chosen.sum() >= count else np.arange(len(chosen))
    rows = rng.choice(pool, min(draws, len(pool)), replace=False)
    out = np.repeat(chosen[None], len(rows), 0)
    out[np.arange(len(rows)), rows] ^= True
    return out


@register("attack", needs=("two classes",), threat=Threat(("labels",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class CorrelatedClusters:
    """Flips labels that do harm together, found by growing a few sets of flips, one drawn row at a time.

    Works on any kernel, since it asks only for the error of machines that it trains. Fails where no single flip
    changes the error: then it wanders; and it needs many machines, clusters * draws * steps of them.

    It starts with ``clusters`` single flips. In each step every cluster draws ``draws`` rows, flips each of them, or
    unflips it, and the one after which a machine trained on the flipped labels errs most on the true ones joins the
    clusters, of which the ``clusters`` with the largest errors stay; the newer where errors tie. A cluster that has
    spent the budget gives up one of ``draws`` drawn flips instead. The flips of the largest error seen are returned.

    - ``rate``: share of rows flipped at most; max(1, round(rate n)) rows.
    - ``C``: weight of the loss in the machine.
    - ``gamma``: width of the radial kernel; None for a linear machine.
    - ``clusters``, ``draws``: sets of flips, and rows that each tries in a step.
    - ``steps``: a cluster has at most steps + 1 flips.

    Images are divided by 255, other numbers taken as they are.

    Raises ToadstoneError when a field is out of range, for text, a regression set, and other than two classes.
    """

    rate: Fraction = 0.1
    C: Positive = 1.0
    gamma: Positive | None = None
    clusters: Count = 5
    draws: Count = 5
    steps: Count = 100

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The flipped rows, in rising order of their numbers."""
        x, s, present = two_classes(train, "correlated clusters")
        rows = np.flatnonzero(self.grow(x, s, budget(self.rate, len(s)), np.random.default_rng(child(seed, "draws"))))
        return flipped(train, rows, np.where(s[rows] > 0, present[0], present[1]))

    def grow(self, x: Rows, s: Signs, count: int, rng: np.random.Generator) -> Bool[ndarray, " n"]:
        """The best cluster of at most ``count`` flips."""
        n, machine = len(s), Machine(self.C, self.gamma)
        start = np.eye(n, dtype=bool)[rng.choice(n, min(self.clusters, n), replace=False)]
        sets = [(flip_error(x, s, one, machine), one) for one in start]
        best = max(sets, key=lambda pair: pair[0])
        for _ in track(range(self.steps), "correlated clusters"):
            new = []
            for _, cluster in sets:
                mutants = mutate(cluster, count, self.draws, rng)
                new.append(max(((flip_error(x, s, m, machine), m) for m in mutants), key=lambda p: p[0]))
            sets = sorted(new + sets, key=lambda pair: -pair[0])[: self.clusters]  # stable: new ones first
            best = max(best, sets[0], key=lambda pair: pair[0])
        flips: ndarray = best[1]
        return flips
