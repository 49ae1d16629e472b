"""RONI. Nelson, Barreno, Chi, Joseph, Rubinstein, Saini, Sutton, Tygar & Xia, LEET 2008."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy import ndarray
from scipy.sparse import csr_array

from toadstone.convex.refits import Learner, Task, logistic, naive_bayes, refits, ridge, spam_bayes
from toadstone.core import Data, Model, Pool, Suspicion
from toadstone.defenses.data.order import by_content
from toadstone.errors import ToadstoneError
from toadstone.fields import Count
from toadstone.models.sklearn_model import flat
from toadstone.overlay import Rows
from toadstone.progress import track
from toadstone.registry import register
from toadstone.rng import child
from toadstone.training.fit import Fit
from toadstone.training.spam_bayes import SpamBayes, check_spam

_LEAST_SQUARES = Fit("sklearn.linear_model.RidgeClassifier")
_AT_ONCE = 2048  # candidates judged together; no result depends on it
_EXACT: dict[str, tuple[Any, set[str]]] = {  # by estimator: the closed form and the settings that it takes
    "sklearn.linear_model.RidgeClassifier": (ridge, {"alpha"}),
    "sklearn.linear_model.LogisticRegression": (logistic, {"C"}),
    "sklearn.naive_bayes.MultinomialNB": (naive_bayes, {"alpha", "fit_prior"}),
}


@dataclass(frozen=True, eq=False)
class Trial:
    """Row numbers drawn from the trusted rows: a base set, a quiz set, and a spare row for each of ``present``, the
    classes that there are, in their order."""

    base: Int[ndarray, " b"]
    quiz: Int[ndarray, " q"]
    spare: Int[ndarray, " k"]
    present: Int[ndarray, " k"]


def impacts(x: Any, y: Integer[ndarray, " n"], classes: int, trial: Trial, learner: Learner) -> Float[ndarray, " n"]:
    """By how much each row lowers the accuracy on the quiz set when it joins the base set, alone.

    A row of the base or the quiz set is judged as all others are, by sets that it is not in: the spare row of its
    class stands in for it there.
    """
    out, q = np.zeros(len(y)), len(trial.quiz)

    def lost(base: ndarray, quiz: ndarray, candidates: ndarray) -> Int[ndarray, "c q"]:
        before, after = learner(Task(x, y, classes, base, quiz, candidates))
        losses: ndarray = (before == y[quiz]).astype(int) - (after == y[quiz])
        return losses

    rest = np.setdiff1d(np.arange(len(y)), np.concatenate([trial.base, trial.quiz]))
    for start in range(0, len(rest), _AT_ONCE):
        piece = rest[start : start + _AT_ONCE]
        out[piece] = lost(trial.base, trial.quiz, piece).sum(1)
    stand_in = np.searchsorted(trial.present, y)
    losses = lost(trial.base, np.concatenate([trial.quiz, trial.spare]), trial.quiz)
    out[trial.quiz] = losses[:, :q].sum(1) - losses.diagonal() + losses[np.arange(q), q + stand_in[trial.quiz]]
    for place, row in enumerate(trial.base):
        base = trial.base.copy()
        base[place] = trial.spare[stand_in[row]]
        out[row] = lost(base, trial.quiz, np.array([row])).sum()
    return out / q


def shares(counts: Int[ndarray, " k"], size: int) -> Int[ndarray, " k"]:
    """``size`` rows divided among classes in proportion to ``counts``, each class that there is getting one at least.

    >>> shares(np.array([90, 10, 0]), 5)
    array([4, 1, 0])
    """
    exact = size * counts / counts.sum()
    whole = np.where(counts > 0, np.maximum(1, np.floor(exact)), 0).astype(int)
    while whole.sum() < size:
        whole[np.argmax(exact - whole)] += 1
    while whole.sum() > size:
        whole[np.argmax(np.where(whole > 1, whole - exact, -np.inf))] -= 1
    return whole


@register("detector", needs=("two classes", "trusted rows"))
@dataclass(frozen=True)
class RONI:
    """Reject on negative impact: scores a row by how much a small model gets worse when it learns the row as well.

    Works against rows that do harm alone, as a mail does that holds a whole dictionary; wrong labels rank high, too,
    but not all of them. Fails against rows that do harm together only, or where the quiz set does not look, such as a
    backdoor's: no quiz row has the trigger. It asks nothing of the model that it is given.

        score = mean over the trials of (accuracy on the quiz set without the row - with it)

    Base and quiz sets are drawn from the trusted rows, with the classes' shares. A trusted row is judged by sets of
    the others: where it was drawn, another row of its class stands in. p-values are therefore those of a
    leave-one-out null, close to exact where trusted rows are many more than ``base + quiz``; scores are multiples of
    1 / (``quiz * trials``), and ties count against a row's being suspicious.

    Each score is that of a full refit. ``RidgeClassifier`` (with ``alpha``), ``MultinomialNB`` (``alpha``,
    ``fit_prior``), ``LogisticRegression`` (``C``; two classes) and SpamBayes are solved for all rows at once; any
    other classifier or setting is fitted anew for each row. Images are divided by 255. Of text ``Fit``'s classifiers
    get word counts, over the words of all rows: TF-IDF weights would change all rows with each one that is added.

    - ``learner``: what is refitted.
    - ``base``, ``quiz``: rows drawn in a trial, at least one for each class; the paper has 20 and 50.
    - ``trials``: at least 1; the paper has 5.

    Raises ToadstoneError without trusted rows or with too few of a class, when a field is out of range, for a
    regression set, one class, and rows that the learner cannot take.
    """

    learner: Fit | SpamBayes = _LEAST_SQUARES
    base: Count = 20
    quiz: Count = 50
    trials: Count = 5

    def score(self, model: Model, pool: Pool, *, seed: int) -> Suspicion:
        """One number for each row; base and quiz sets are drawn from the trusted ones."""
        data, quotas = pool.data, self._quotas(pool)
        x, learner = _refits(self.learner, data, child(seed, "fit") % 2**32)
        trusted, values = np.flatnonzero(pool.trusted), np.zeros(len(data))
        clean = data.take(trusted)
        for number in track(range(self.trials), "trials"):
            order = trusted[by_content(clean, child(seed, "trial", str(number)))]
            trial = _trial(order, data.y, *quotas)
            values += impacts(x, data.y, len(data.classes), trial, learner) / self.trials
        return Suspicion(values)

    def _quotas(self, pool: Pool) -> tuple[Int[ndarray, " k"], Int[ndarray, " k"]]:
        data = pool.data
        counts = np.bincount(data.y[pool.trusted], minlength=len(data.classes))
        for name in ("base", "quiz"):
            if getattr(self, name) < (counts > 0).sum():
                raise ToadstoneError(
                    f"{name} is {getattr(self, name)} but there are {(counts > 0).sum()} classes: raise it."
                )
        base, quiz = shares(counts, self.base), shares(counts, self.quiz)
        for k in np.flatnonzero(data.counts()):
            needed = base[k] + quiz[k] + 1
            if counts[k] < needed:
                raise ToadstoneError(
                    f"clean has {counts[k]} rows of class {data.classes[k]} but base={self.base} and "
                    f"quiz={self.quiz} need {needed}: trust more rows of it, or lower base and quiz."
                )
        return base, quiz


def _trial(order: ndarray, y: ndarray, base: ndarray, quiz: ndarray) -> Trial:
    """Of each class the first rows in this order make the base set, the next the quiz set, and one more the spare."""
    present = np.flatnonzero(base)
    rows = [order[y[order] == k] for k in present]
    return Trial(
        np.concatenate([r[: base[k]] for k, r in zip(present, rows, strict=True)]),
        np.concatenate([r[base[k] : base[k] + quiz[k]] for k, r in zip(present, rows, strict=True)]),
        np.array([r[base[k] + quiz[k]] for k, r in zip(present, rows, strict=True)]),
        present,
    )


def _refits(learner: Fit | SpamBayes, data: Data, random_state: int) -> tuple[Any, Learner]:
    """The rows as numbers, and the learner's refits on them."""
    x = _numbers(data.x)
    if isinstance(learner, SpamBayes):
        check_spam(data)
        return csr_array(x > 0, dtype=float), spam_bayes
    exact, known = _EXACT.get(learner.estimator, (None, set()))
    plain = all(name in known and isinstance(v, int | float) and v >= 0 for name, v in learner.settings.items())
    if exact is None or not plain or (exact is logistic and len(data.classes) != 2):
        return x, partial(refits, make=lambda: learner.make(random_state))
    if exact is naive_bayes:
        x = csr_array(x)
        if x.min() < 0:
            raise ToadstoneError("data has negative numbers: MultinomialNB takes counts, so choose another learner.")
    return x, partial(exact, **learner.settings)


def _numbers(x: Rows) -> Any:
    rows = flat(x)
    if rows.dtype != object:
        return rows / 255 if rows.dtype == np.uint8 else rows.astype(float)
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415 (slow to import)

    try:
        return csr_array(CountVectorizer(dtype=np.float64).fit_transform(rows))
    except ValueError as error:
        raise ToadstoneError("data has no words: give texts with words of two or more letters.") from error
