"""What a learner says of quiz rows once one more row is in its training set, for many such rows at once.

Each learner here is the exact solution after the row was added, by linear algebra where there is a closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer
from numpy import ndarray
from scipy.sparse import issparse
from scipy.special import expit

from toadstone.errors import ToadstoneError
from toadstone.training.spam_bayes import MOST, evidence, fisher, spamminess, word_scores


@dataclass(frozen=True, eq=False)
class Task:
    """Row numbers of ``x`` and ``y``: each of ``candidates`` is added by itself to ``base``, and ``quiz`` is judged.

    ``x`` is (n, d), dense or a csr_array; ``base`` has rows of all ``classes`` that matter.
    """

    x: Any
    y: Integer[ndarray, " n"]
    classes: int
    base: Int[ndarray, " b"]
    quiz: Int[ndarray, " q"]
    candidates: Int[ndarray, " c"]


Learner = Callable[[Task], tuple[Integer[ndarray, " q"], Integer[ndarray, "c q"]]]
"""The classes of the quiz rows without any candidate, and with each."""


def refits(task: Task, make: Callable[[], Any]) -> tuple[Integer[ndarray, " q"], Integer[ndarray, "c q"]]:
    """Any scikit-learn classifier, fitted anew for each candidate; ``make`` returns an unfitted one."""

    def judged(rows: ndarray) -> ndarray:
        try:
            classes: ndarray = make().fit(task.x[rows], task.y[rows]).predict(task.x[task.quiz])
        except (ValueError, TypeError) as error:
            raise ToadstoneError(f"learner cannot be fitted to these rows ({error}): choose another.") from error
        return classes

    after = [judged(np.append(task.base, c)) for c in task.candidates]
    return judged(task.base), np.array(after, int).reshape(len(after), len(task.quiz))


def ridge(task: Task, alpha: float = 1.0) -> tuple[Integer[ndarray, " q"], Integer[ndarray, "c q"]]:
    """RidgeClassifier, that is the least-squares SVM, one output a class.

    With K = x x' over the base rows, the bordered matrix M = [[K + alpha I, 1], [1', 0]] gives the output at v as
    k(v)' M^-1 [t; 0]. One row c more is one row of M more: f(v) + g(v, c) (t_c - f(c)) / (g(c, c) + alpha), with
    g(v, c) = v'c - k(v)' M^-1 k(c).
    """
    b, q = len(task.base), len(task.quiz)
    base, quiz, added = (task.x[rows] for rows in (task.base, task.quiz, task.candidates))
    bordered = np.ones((b + 1, b + 1))
    bordered[:b, :b] = _inner(base, base) + alpha * np.eye(b)
    bordered[b, b] = 0
    kernel = np.ones((b + 1, q + len(task.candidates)))
    kernel[:b] = np.hstack([_inner(base, quiz), _inner(base, added)])
    signs = 2 * np.eye(task.classes) - 1
    target = np.vstack([signs[task.y[task.base]], np.zeros(task.classes)])
    solved = np.linalg.solve(bordered, kernel)
    f = solved.T @ target
    gain = _inner(added, quiz) - solved[:, q:].T @ kernel[:, :q]
    own = _squares(added) - (kernel[:, q:] * solved[:, q:]).sum(0) + alpha
    error = (signs[task.y[task.candidates]] - f[q:]) / own[:, None]
    return f[:q].argmax(1), (f[:q] + gain[:, :, None] * error[:, None]).argmax(2)


def naive_bayes(
    task: Task, alpha: float = 1.0, fit_prior: bool = True
) -> tuple[Integer[ndarray, " q"], Integer[ndarray, "c q"]]:
    """MultinomialNB on the csr_array ``task.x``: a row changes the counts of its own class, where it is not zero."""
    member = np.eye(task.classes)[task.y[task.base]].T
    base, quiz, added = (task.x[rows] for rows in (task.base, task.quiz, task.candidates))
    totals, longer = member @ base.sum(1) + alpha * task.x.shape[1], added.sum(1)
    columns = np.unique(quiz.indices)  # of the others only the sums matter
    base, quiz, added = base[:, columns].toarray(), quiz[:, columns].toarray(), added[:, columns]
    counts, rows, length = member @ base + alpha, member.sum(1), quiz.sum(1)
    words = quiz @ np.log(counts).T
    before = words - np.outer(length, np.log(totals)) + np.log(np.maximum(rows, 1)) * fit_prior
    before[:, rows == 0] = -np.inf
    after = np.repeat(before[None], len(task.candidates), 0)
    for k in range(task.classes):
        mine = np.flatnonzero(task.y[task.candidates] == k)
        gain = added[mine]
        gain.data = np.log1p(gain.data / counts[k, gain.indices])
        total = np.log(totals[k] + longer[mine])
        after[mine, :, k] = words[:, k] + gain @ quiz.T - np.outer(total, length) + np.log(rows[k] + 1) * fit_prior
    return before.argmax(1), after.argmax(2)


def logistic(task: Task, C: float = 1.0) -> tuple[Integer[ndarray, " q"], Integer[ndarray, "c q"]]:
    """LogisticRegression of two classes: Newton's method over the kernel, from the solution without the candidate."""
    b, c = len(task.base), len(task.candidates)
    base, quiz, added = (task.x[rows] for rows in (task.base, task.quiz, task.candidates))
    inner = _inner(base, base)
    t = 2.0 * task.y[task.base] - 1
    a, intercept = _newton(inner[None], t[None], C, np.zeros((1, b)), np.zeros(1))
    before = (a[0] @ _inner(base, quiz) + intercept > 0).astype(int)
    if not c:
        return before, np.zeros((0, len(task.quiz)), int)
    kernel = np.empty((c, b + 1, b + 1))
    kernel[:, :b, :b] = inner
    kernel[:, b, :b] = kernel[:, :b, b] = _inner(added, base)
    kernel[:, b, b] = _squares(added)
    t = np.hstack([np.tile(t, (c, 1)), 2.0 * task.y[task.candidates, None] - 1])
    a, intercept = _newton(kernel, t, C, np.pad(np.tile(a, (c, 1)), ((0, 0), (0, 1))), np.tile(intercept, c))
    f = a[:, :b] @ _inner(base, quiz) + a[:, b:] * _inner(added, quiz) + intercept[:, None]
    return before, (f > 0).astype(int)


def _newton(
    kernel: Float[ndarray, "c m m"], t: Float[ndarray, "c m"], scale: float, a: ndarray, b: ndarray
) -> tuple[Float[ndarray, "c m"], Float[ndarray, " c"]]:
    """Minimise scale * sum log(1 + exp(-t f)) + a'Ka / 2 over f = Ka + b, for c problems at once.

    At the optimum a = scale * t * expit(-t f) and sum a = 0; a step solves this with the right side linearised. It is
    halved while the objective would rise.
    """
    m = t.shape[1]
    step = np.zeros((len(t), m + 1, m + 1))
    step[:, m, :m] = 1
    for _ in range(100):
        f = np.einsum("cij,cj->ci", kernel, a) + b[:, None]
        p = expit(-t * f)
        pull, w = scale * t * p, np.maximum(scale * p * (1 - p), 1e-12 * scale)
        if max(np.abs(a - pull).max(), np.abs(a.sum(1)).max()) <= 1e-9 * scale:
            return a, b
        step[:, :m, :m] = np.eye(m) + w[:, :, None] * kernel
        step[:, :m, m] = w
        right = np.hstack([pull + w * f, np.zeros((len(t), 1))])
        end = np.linalg.solve(step, right[:, :, None])[:, :, 0]
        old = _objective(kernel, t, scale, a, b)
        size = np.ones(len(t))
        for _ in range(30):
            new_a = a + size[:, None] * (end[:, :m] - a)
            new_b = b + size * (end[:, m] - b)
            worse = _objective(kernel, t, scale, new_a, new_b) > old + 1e-12 * np.abs(old)
            if not worse.any():
                break
            size = np.where(worse, size / 2, size)
        a, b = new_a, new_b
    raise ToadstoneError("learner LogisticRegression did not converge on these rows: scale their columns, or lower C.")


def _objective(kernel: ndarray, t: ndarray, scale: float, a: ndarray, b: ndarray) -> Float[ndarray, " c"]:
    inner = np.einsum("cij,cj->ci", kernel, a)
    loss: ndarray = scale * np.logaddexp(0, -t * (inner + b[:, None])).sum(1) + (a * inner).sum(1) / 2
    return loss


def spam_bayes(task: Task) -> tuple[Integer[ndarray, " q"], Integer[ndarray, "c q"]]:
    """SpamBayes on the csr_array ``task.x`` of zeros and ones: a row counts once for each word that it holds."""
    columns = np.unique(task.x[task.quiz].indices)
    quiz = task.x[task.quiz][:, columns].toarray().T
    added = task.x[task.candidates][:, columns].toarray()
    spam = task.y[task.base] == 1
    s, h = (task.x[task.base[rows]][:, columns].sum(0) for rows in (spam, ~spam))
    messages = float(spam.sum()), float((~spam).sum())
    alone = word_scores(s, h, messages)
    after = np.zeros((len(added), len(task.quiz)), int)
    for k in (0, 1):
        mine, total = task.y[task.candidates] == k, (messages[0] + k, messages[1] + 1 - k)
        f = word_scores(s, h, total), word_scores(s + k, h + 1 - k, total)
        after[mine] = _called_spam(quiz, added[mine], *f)
    return _called_spam(quiz, np.zeros((1, len(columns))), alone, alone)[0], after


def _called_spam(
    quiz: Float[ndarray, "w q"],
    added: Float[ndarray, "c w"],
    without: Float[ndarray, " w"],
    with_it: Float[ndarray, " w"],
) -> Int[ndarray, "c q"]:
    """Is each quiz message spam, if a word's score is ``with_it`` where the candidate holds it, else ``without``?"""
    one, other = evidence(without), evidence(with_it)
    heard, log_f, log_rest = (one @ quiz)[:, None] + added @ ((other - one)[:, :, None] * quiz)
    spam = (fisher(heard, log_f, log_rest) > 0.5).astype(int)
    for q in np.flatnonzero((heard > MOST + 0.5).any(0)):  # the farthest words alone count there
        rows, words = np.flatnonzero(heard[:, q] > MOST + 0.5), np.flatnonzero(quiz[:, q])
        f = np.where(added[np.ix_(rows, words)] > 0, with_it[words], without[words])
        spam[rows, q] = spamminess(f) > 0.5
    return spam


def _inner(a: Any, b: Any) -> Float[ndarray, "a b"]:
    products = a @ b.T
    return np.asarray(products.toarray() if issparse(products) else products, float)


def _squares(a: Any) -> Float[ndarray, " n"]:
    return np.asarray((a * a).sum(1), float).ravel()
