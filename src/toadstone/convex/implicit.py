"""How the decisions of a linear or kernel learner move when its training rows move.

A learner that is trained to its optimum fulfils its optimality conditions. Differentiated, they are a linear system
for the change of its parameters. Its transpose (the adjoint) gives, by one solve, the gradient of a loss on other
rows with respect to any number of training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import logsumexp, softmax

from toadstone.errors import ToadstoneError

_TOL = 1e-8  # share of C that a multiplier must be away from its bounds to be free


@runtime_checkable
class Machine(Protocol):
    """A trained learner."""

    @property
    def x(self) -> ndarray:
        """The rows that it was trained on."""
        ...

    def decide(self, x: Float[ndarray, "m d"]) -> Float[ndarray, "m k"]:
        """A decision value a class; the greatest wins."""
        ...

    def loss(self, x: Float[ndarray, "m d"], y: Int[ndarray, " m"]) -> float:
        """What the attacker wants high, averaged over rows: the hinge loss, or the cross-entropy of decisions."""
        ...

    def gradient(
        self, rows: Int[ndarray, " q"], x: Float[ndarray, "m d"], y: Int[ndarray, " m"]
    ) -> Float[ndarray, "q d"]:
        """The gradient of ``loss(x, y)`` with respect to the training rows ``rows``, after retraining."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Trains to the optimum."""

    def fit(self, x: Float[ndarray, "n d"], y: Int[ndarray, " n"], k: int) -> Machine:
        """The machine of rows ``x`` with labels 0..k-1."""
        ...


def kernel(a: Float[ndarray, "n d"], b: Float[ndarray, "m d"], gamma: float | None) -> Float[ndarray, "n m"]:
    """exp(-gamma |a - b|^2), or the inner product when ``gamma`` is None."""
    inner: ndarray = a @ b.T
    if gamma is None:
        return inner
    square = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * inner
    near: ndarray = np.exp(-gamma * np.maximum(square, 0))
    return near


def _free(beta: Float[ndarray, " n"], C: float) -> Bool[ndarray, " n"]:
    """The margin support vectors: multipliers at neither bound."""
    free: ndarray = np.minimum(np.abs(beta), C - np.abs(beta)) > _TOL * C
    return free


def _bordered(gram: Float[ndarray, "s s"]) -> Float[ndarray, "t t"]:
    """[0 1^T; 1 K]."""
    system = np.pad(gram, ((1, 0), (1, 0)), constant_values=1.0)
    system[0, 0] = 0
    return system


@dataclass(frozen=True)
class SVM:
    """min 1/2 |w|^2 + C sum hinge(y f(x)), two classes, f(x) = sum_j beta_j k(x_j, x) + b; ``gamma`` None: linear."""

    C: float = 1.0
    gamma: float | None = None
    tol: float = 1e-5

    def fit(self, x: Float[ndarray, "n d"], y: Int[ndarray, " n"], k: int = 2) -> SVMachine:
        """libsvm's solution of the dual; the free multipliers and the threshold then to full precision."""
        from sklearn.svm import SVC  # noqa: PLC0415

        gram = kernel(x, x, self.gamma)
        machine = SVC(C=self.C, kernel="precomputed", tol=self.tol, random_state=0).fit(gram, y)
        beta = np.zeros(len(x))
        beta[machine.support_] = machine.dual_coef_[0]
        b, free = float(machine.intercept_[0]), _free(beta, self.C)
        if free.any():  # libsvm keeps the kernel in single precision
            bound = np.where(free, 0, beta)
            right = np.concatenate([[-bound.sum()], 2 * y[free] - 1 - gram[free] @ bound])
            exact = np.linalg.lstsq(_bordered(gram[np.ix_(free, free)]), right)[0]
            alpha = exact[1:] * (2 * y[free] - 1)
            if ((alpha > 0) & (alpha < self.C)).all():
                b, beta[free] = float(exact[0]), exact[1:]
        return SVMachine(x, beta, b, self.C, self.gamma)


@dataclass(frozen=True, eq=False)
class SVMachine:
    """A trained SVM: rows, signed multipliers ``beta`` = alpha y, threshold ``b``."""

    x: Float[ndarray, "n d"]
    beta: Float[ndarray, " n"]
    b: float
    C: float
    gamma: float | None

    def margin(self, x: Float[ndarray, "m d"]) -> Float[ndarray, " m"]:
        """f(x), positive for class 1."""
        used = self.beta != 0
        margin: ndarray = kernel(x, self.x[used], self.gamma) @ self.beta[used] + self.b
        return margin

    def decide(self, x: Float[ndarray, "m d"]) -> Float[ndarray, "m 2"]:
        f = self.margin(x)
        return np.stack([-f, f], 1) / 2

    def loss(self, x: Float[ndarray, "m d"], y: Int[ndarray, " m"]) -> float:
        """The mean hinge loss."""
        return float(np.maximum(0, 1 - (2 * y - 1) * self.margin(x)).mean())

    def gradient(
        self, rows: Int[ndarray, " q"], x: Float[ndarray, "m d"], y: Int[ndarray, " m"]
    ) -> Float[ndarray, "q d"]:
        """By the conditions y_i f(x_i) = 1 of the margin support vectors s and sum_j beta_j = 0:

        [0 1^T; 1 K_ss] u = [sum_k g_k; K_sk g], where g_k is the loss's slope at f(x_k); then the gradient is that of
        sum_k g_k f(x_k) - sum_s u_s f(x_s) with beta and b held. A singular system (dependent margin support vectors,
        or none, where the threshold is taken as fixed) gets its least-norm solution.
        """
        sign = 2 * y - 1
        slope = -sign * (sign * self.margin(x) < 1) / len(x)
        free = _free(self.beta, self.C)
        s = self.x[free]
        right = np.concatenate([[slope.sum()], kernel(s, x, self.gamma) @ slope])
        u = np.linalg.lstsq(_bordered(kernel(s, s, self.gamma)), right)[0][1:]
        pull = np.zeros(len(self.x))
        pull[free] = -u
        there, weight = np.concatenate([x, s]), np.concatenate([slope, -u])
        used = self.beta != 0
        mine = self.x[rows]
        gradient: ndarray = self.beta[rows, None] * self._spread(mine, there, weight)
        gradient += pull[rows, None] * self._spread(mine, self.x[used], self.beta[used])
        return gradient

    def _spread(
        self, at: Float[ndarray, "q d"], there: Float[ndarray, "m d"], weight: Float[ndarray, " m"]
    ) -> Float[ndarray, "q d"]:
        """The gradient of sum_m weight_m k(a, there_m) at the points a."""
        if self.gamma is None:
            return np.broadcast_to(weight @ there, at.shape)
        near = kernel(at, there, self.gamma) * weight
        gradient: ndarray = 2 * self.gamma * (near @ there - near.sum(1)[:, None] * at)
        return gradient


@dataclass(frozen=True)
class Smooth:
    """min 1/2 |W|^2 + C sum loss(f(x), y), f(x) = x W + b; ``kind`` "logistic" (softmax) or "ridge" (squares of
    f - (+-1)). The machine of two classes has two columns and the same decisions as scikit-learn's, which has one."""

    kind: str = "logistic"
    C: float = 1.0
    tol: float = 1e-6

    def fit(self, x: Float[ndarray, "n d"], y: Int[ndarray, " n"], k: int) -> SmoothMachine:
        """scikit-learn's solution of logistic regression; the normal equations of ridge."""
        if self.kind == "ridge":
            mean, target = x.mean(0), 2.0 * np.eye(k)[y] - 1
            z = x - mean
            w = np.linalg.solve(z.T @ z + np.eye(x.shape[1]) / self.C, z.T @ target)
            return SmoothMachine(x, y, w, target.mean(0) - mean @ w, self)
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        present = np.unique(y)
        if len(present) < k:
            raise ToadstoneError(f"train has rows of {len(present)} classes but names {k}: leave the others out.")
        machine = LogisticRegression(C=self.C, tol=self.tol, max_iter=10000).fit(x, y)
        w, b = machine.coef_.T, machine.intercept_
        if k == 2:
            w, b = np.concatenate([-w, w], 1) / 2, np.concatenate([-b, b]) / 2
        return SmoothMachine(x, y, w, b, self)


@dataclass(frozen=True, eq=False)
class SmoothMachine:
    """A trained linear machine: rows, labels, weights (d, k), thresholds (k,)."""

    x: Float[ndarray, "n d"]
    y: Int[ndarray, " n"]
    w: Float[ndarray, "d k"]
    b: Float[ndarray, " k"]
    learner: Smooth

    def decide(self, x: Float[ndarray, "m d"]) -> Float[ndarray, "m k"]:
        decisions: ndarray = x @ self.w + self.b
        return decisions

    def loss(self, x: Float[ndarray, "m d"], y: Int[ndarray, " m"]) -> float:
        """The mean cross-entropy, of ridge too: its squares rise with rows that are right by too much."""
        f = self.decide(x)
        return float((logsumexp(f, 1) - f[np.arange(len(y)), y]).mean())

    def _slope(self, x: Float[ndarray, "m d"], y: Int[ndarray, " m"]) -> Float[ndarray, "m k"]:
        """That of the loss that the learner minimises."""
        f, one = self.decide(x), np.eye(len(self.b))[y]
        slope: ndarray = f - (2 * one - 1) if self.learner.kind == "ridge" else softmax(f, 1) - one
        return slope

    def gradient(
        self, rows: Int[ndarray, " q"], x: Float[ndarray, "m d"], y: Int[ndarray, " m"]
    ) -> Float[ndarray, "q d"]:
        """With H the Hessian of the training problem and u = H^-1 grad loss: -grad_x (C slope(x_c) . (x_c u + u_b)).

        Raises ToadstoneError where conjugate gradients do not solve the system.
        """
        d, k = self.w.shape
        # two columns hold the same machine as one: the penalty counts half
        weight = self.learner.C / 2 if k == 2 and self.learner.kind == "logistic" else self.learner.C
        curve = self._curvature(self.x)

        def hessian(flat: Float[ndarray, " p"]) -> Float[ndarray, " p"]:
            v = flat.reshape(d + 1, k)
            inner = weight * curve(self.x @ v[:d] + v[d])
            return np.concatenate([self.x.T @ inner + v[:d], inner.sum(0, keepdims=True)]).ravel()

        slope = (softmax(self.decide(x), 1) - np.eye(k)[y]) / len(x)
        right = np.concatenate([x.T @ slope, slope.sum(0, keepdims=True)]).ravel()
        size = (d + 1) * k
        flat, failed = cg(LinearOperator((size, size), hessian, dtype=float), right, rtol=1e-8, maxiter=5 * size)
        if failed:
            raise ToadstoneError("The optimality conditions are too near singular to be solved: use a smaller C.")
        u = flat.reshape(d + 1, k)
        mine = self.x[rows]
        pull = mine @ u[:d] + u[d]
        gradient: ndarray = self._slope(mine, self.y[rows]) @ u[:d].T + self._curvature(mine)(pull) @ self.w.T
        return -weight * gradient

    def _curvature(self, x: Float[ndarray, "n d"]) -> Callable[[ndarray], ndarray]:
        """The loss's second derivative by the decisions of rows ``x``, as a map of (n, k) directions."""
        if self.learner.kind == "ridge":
            return lambda v: v
        p = softmax(self.decide(x), 1)
        return lambda v: p * (v - (p * v).sum(1, keepdims=True))
