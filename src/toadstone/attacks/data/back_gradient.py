"""Back-gradient poisoning. Munoz-Gonzalez, Biggio, Demontis et al., AISec 2017, arXiv:1708.08689."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import logsumexp, softmax

from toadstone.convex.box import Box
from toadstone.convex.points import Plan, appended, game_of, goal_of, plan_of, search
from toadstone.core import Data, Poison
from toadstone.fields import Count, Positive
from toadstone.goals.availability import Availability
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_target


@dataclass(frozen=True)
class Unrolled:
    """``steps`` of gradient descent from zero on the mean cross-entropy of a linear softmax machine plus
    |W|^2 / (2 C n), each of length 1 over a bound of the curvature."""

    C: float = 1.0
    steps: int = 100

    def fit(self, x: Float[ndarray, "n d"], y: Int[ndarray, " n"], k: int) -> Path:
        """The whole path of the parameters."""
        z, code = np.pad(x, ((0, 0), (0, 1)), constant_values=1.0), np.eye(k)[y]
        decay = np.full((z.shape[1], 1), 1 / (self.C * len(x)))
        decay[-1] = 0
        # the softmax's second derivative is at most 1/2
        rate = 1 / (0.5 * float(np.linalg.norm(z, 2)) ** 2 / len(x) + decay[0, 0])
        theta = np.zeros((self.steps + 1, z.shape[1], k))
        for t in range(self.steps):
            slope = z.T @ (softmax(z @ theta[t], 1) - code) / len(x) + decay * theta[t]
            theta[t + 1] = theta[t] - rate * slope
        return Path(x, code, theta, rate, decay)


@dataclass(frozen=True, eq=False)
class Path:
    """How the parameters (d + 1, k) got to where they are; the learner's rate and decay are held fixed."""

    x: Float[ndarray, "n d"]
    code: Float[ndarray, "n k"]
    theta: Float[ndarray, "t e k"]
    rate: float
    decay: Float[ndarray, "e 1"]

    def decide(self, x: Float[ndarray, "m d"]) -> Float[ndarray, "m k"]:
        """A decision value a class, at the end of the path."""
        decisions: ndarray = x @ self.theta[-1, :-1] + self.theta[-1, -1]
        return decisions

    def loss(self, x: Float[ndarray, "m d"], y: Int[ndarray, " m"]) -> float:
        """The mean cross-entropy."""
        f = self.decide(x)
        return float((logsumexp(f, 1) - f[np.arange(len(y)), y]).mean())

    def gradient(
        self, rows: Int[ndarray, " q"], x: Float[ndarray, "m d"], y: Int[ndarray, " m"]
    ) -> Float[ndarray, "q d"]:
        """Back along the path: with a = grad loss at its end, at each step
        grad_x -= rate d/dx (a . slope), a -= rate H a."""
        z, z_val = (np.pad(part, ((0, 0), (0, 1)), constant_values=1.0) for part in (self.x, x))
        n, k = self.code.shape
        a = z_val.T @ (softmax(self.decide(x), 1) - np.eye(k)[y]) / len(x)
        gradient = np.zeros((len(rows), self.x.shape[1]))
        for theta in self.theta[-2::-1]:
            p, pull = softmax(z @ theta, 1), z @ a
            bent = p * (pull - (p * pull).sum(1, keepdims=True))
            gradient -= self.rate / n * ((p - self.code)[rows] @ a[:-1].T + bent[rows] @ theta[:-1].T)
            a = a - self.rate * (z.T @ bent / n + self.decay * a)
        return gradient


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class BackGradient:
    """Rows are added that a learner trained by gradient descent errs most by, their gradient taken through its steps.

    As OptimalPoints, for a linear softmax machine of any number of classes, but the learner need not be at its
    optimum: the gradient of the validation loss L after T steps theta <- theta - r g(theta, x_c) runs back along
    them, dL/dx_c -= r d/dx_c (a . g), a <- a - r H a, from a = grad L. Works as implicit differentiation does once T
    is large; a short T is cheaper and needs no system to be solved. Fails as OptimalPoints does. The paper reverses
    the steps to save memory; here the path is kept, which is exact, and small for a linear machine.

    - ``count``, ``label``, ``wanted``, ``joint``, ``starts``, ``box``: those of OptimalPoints.
    - ``C``: weight of the loss against the penalty.
    - ``unroll``: T, steps of the learner.
    - ``steps``: moves uphill, at most.

    Raises ToadstoneError for values out of range, text, a regression set and a single class.
    """

    count: Count = 1
    C: Positive = 1.0
    label: int | None = None
    wanted: tuple[int, int] | None = None
    unroll: Count = 100
    joint: bool = True
    starts: Count = 5
    steps: Count = 30
    box: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        goal_of(self.wanted)
        self._plan()

    def _plan(self) -> Plan:
        return plan_of(self.count, (self.starts, self.steps, self.joint), self.label, self.wanted)

    def goal(self, data: Data) -> Availability | Misclassified:
        """That the model is wrong, or takes one class for another where ``wanted`` says so."""
        return goal_of(self.wanted)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, where the loss on ``train`` itself stands for that on other rows."""
        return self.craft(train, train, seed=seed)

    def craft(self, train: Data, valid: Data, *, seed: int) -> Poison:
        """The rows added, for an attacker who has rows ``valid`` that the victim does not train on."""
        if self.label is not None:
            check_target(train, self.label)
        game, box = game_of(train, valid, Unrolled(self.C, self.unroll), self.wanted), Box.of(train, self.box)
        draw = np.random.default_rng(child(seed, "start"))
        return appended(train, box, *search(game, box, self._plan(), draw), self.wanted)
