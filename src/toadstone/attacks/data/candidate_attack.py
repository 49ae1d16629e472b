"""Certified defenses for data poisoning attacks. Steinhardt, Koh & Liang, NIPS 2017, arXiv:1706.03691."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toadstone.convex.feasible import Feasible, check_two, sphere_and_slab, unit
from toadstone.convex.game import LOSSES, mean_loss, play, signed
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
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

    - ``rate``: rows added per training row, above 0.
    - ``norm``: rho, the victim's bound on the length of (w, b), above 0, for pixels in [0, 1].
    - ``loss``: "hinge" or "logistic".
    - ``quantile``: the share of each class within its radius, and within its slab, in (0, 1].
    - ``iterations``: steps of the game, at least 1.
    - ``eta``: the first step size, above 0.

    Raises ToadstoneError when these are out of range, ``rate`` asks for no row, unless train has two classes with rows
    of both, for text, classes of one mean, radii smaller than the rounding of pixels.
    """

    rate: float = 0.03
    norm: float = 1.0
    loss: str = "hinge"
    quantile: float = 0.7
    iterations: int = 2000
    eta: float = 0.1

    def __post_init__(self) -> None:
        for name in ("rate", "norm", "eta"):
            if not 0 < getattr(self, name) < np.inf:
                raise ToadstoneError(f"{name} must be a number above 0, not {getattr(self, name)}.")
        if self.loss not in LOSSES:
            raise ToadstoneError(f"loss is {self.loss!r}: use one of {', '.join(LOSSES)}.")
        if not 0 < self.quantile <= 1:
            raise ToadstoneError(f"quantile must lie in (0, 1], not {self.quantile}.")
        if self.iterations < 1:
            raise ToadstoneError(f"iterations must be at least 1, not {self.iterations}.")

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
