"""The one descent over inputs: many objectives, within a ball, by steepest steps or by Adam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toadstone.progress import track
from toadstone.whitebox.balls import Ball

Objective = Callable[[Tensor], Tensor]  # the points -> one number, or one a row, whose sum is descended
Move = Callable[[Tensor], None]  # moves the points in place, given their slope


@dataclass(frozen=True)
class Steepest:
    """Steps of length ``lr`` in the norm of the ball: signed ones for Linf, one step of which is FGSM, many are PGD."""

    lr: float

    def begin(self, x: Tensor, ball: Ball | None) -> Move:
        """What moves ``x``; without a ball, by the slope itself."""

        def move(slope: Tensor) -> None:
            x.sub_(self.lr * (slope if ball is None else ball.steepest(slope)))

        return move


@dataclass(frozen=True)
class Adam:
    """Adam on the slope, or on its sign; the step size falls to a tenth after each of ``drops`` steps."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    signed: bool = False
    drops: tuple[int, ...] = ()

    def begin(self, x: Tensor, ball: Ball | None) -> Move:
        """What moves ``x``; the ball plays no part in it."""
        adam = torch.optim.Adam([x], self.lr, betas=self.betas)
        schedule = torch.optim.lr_scheduler.MultiStepLR(adam, list(self.drops), 0.1)

        def move(slope: Tensor) -> None:
            x.grad = slope.sign() if self.signed else slope
            adam.step()
            schedule.step()

        return move


class Search:
    """A descent from ``start`` that can go on where it is, with another objective; ``x`` is where it is."""

    def __init__(self, start: Tensor, ball: Ball | None, optimiser: Steepest | Adam) -> None:
        self.x, self.ball = start.detach().clone(), ball
        self._move = optimiser.begin(self.x, ball)

    def run(self, objective: Objective, steps: int) -> Tensor:
        """The points after ``steps`` more steps down ``objective``, each projected into the ball."""
        for _ in track(range(steps), "descending"):
            here = self.x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(objective(here).sum(), here)
            with torch.no_grad():
                self._move(slope)
                if self.ball is not None:
                    self.x.copy_(self.ball.project(self.x))
        return self.x


def descend(objective: Objective, start: Tensor, ball: Ball | None, optimiser: Steepest | Adam, steps: int) -> Tensor:
    """The points that ``steps`` steps of ``optimiser`` down ``objective`` lead to from ``start``, on its device.

    ``objective`` is differentiable in the points. Each step ends in the nearest point of ``ball``; None for anywhere.
    ``start`` is left as it was. To climb, give the negative; a random start is ``ball.random(x, generator)``. A net in
    the objective should be ``model.frozen()``.
    """
    return Search(start, ball, optimiser).run(objective, steps)
