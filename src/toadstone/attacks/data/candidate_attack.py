"""Certified defenses for data poisoning attacks. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from toadstone.convex.feasible import Feasible, check_two, sphere_and_slab, unit
from toadstone.convex.game import mean_loss, play, signed
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Fraction, Positive
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register
from toadstone.rng import child


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), knows=("data",), inference="nothing"))
@dataclass(frozen=True)
class CandidateAttack:
    """Adds the rows that hurt a linear model most among those that pass a sphere and a slab around the true means.

    Works where the radii are wide beside the distance of the class means and the victim's norm is large, as with many
    noisy columns (text). Fails where they are not: ``poisoning_bound`` then says that no attack works. It is made
    against a filter that knows the true means; a filter whose means the poison moves is weaker than that.

    The attacker and a learner play Algorithm 1: the learner follows its subgradients (dual averaging), the attacker
    answers each (w, b) with the feasible point of the largest loss. The poison is floor(rate n) of the points played,
    drawn without replacement while there are enough. For the victim see ``NormSVM``.

    Pixels are played in [0, 1] with room for rounding, so that each stored row passes the filter; a table's columns
    are taken as they are, without bounds.

    - ``rate``: rows added per training row.
    - ``norm``: rho, the victim's bound on the length of (w, b), for pixels in [0, 1].
    - ``loss``: "hinge" or "logistic".
    - ``quantile``: the share of each class within its radius, and within its slab.
    - ``iterations``: steps of the game.
    - ``eta``: the first step size.

    Raises ToadstoneError when these are out of range, ``rate`` asks for no row, unless train has two classes with rows
    of both, for text, classes of one mean, radii smaller than the rounding of pixels.
    """

    rate: Positive = 0.03
    norm: Positive = 1.0
    loss: Literal["hinge", "logistic"] = "hinge"
    quantile: Fraction = 0.7
    iterations: Count = 2000
    eta: Positive = 0.1

    def sets(self, train: Data) -> tuple[Feasible, Feasible]:
        """What the filter lets through as class 0 and as class 1; pixels between 0 and 1."""
        check_two(train)
        low, high = (0.0, 1.0) if train.x.dtype == np.uint8 else (-np.inf, np.inf)
        return sphere_and_slab(unit(train.x), train.y, self.quantile, low, high)

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, in the order in which they were played."""
        one, other = self.sets(train)
        n, count = len(train), int(self.rate * len(train))
        if not count:
            raise ToadstoneError(f"rate={self.rate} of {n} rows is none: use at least {1 / n:.3g}.")
        pixels = train.x.dtype == np.uint8
        if pixels:
            one, other = one.rounded(1 / 255), other.rounded(1 / 255)
        draw = np.random.default_rng(child(seed, "steps"))
        keep = np.sort(draw.choice(self.iterations, count, replace=count > self.iterations))
        game = play(mean_loss(signed(unit(train.x), train.y), self.loss), (one, other), self, keep)
        x = np.rint(255 * game.x) if pixels else game.x
        x = x.reshape(count, *train.x.shape[1:]).astype(train.x.dtype)
        return Poison(np.arange(n, n + count), x, (game.sign > 0).astype(train.y.dtype), Availability())
