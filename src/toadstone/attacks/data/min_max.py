"""The min-max attack. Koh, Steinhardt & Liang, 2018, arXiv:1811.00741."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.convex.feasible import unit
from toadstone.convex.game import mean_loss, play, signed
from toadstone.convex.two_points import added, passing, repeated
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Whole
from toadstone.goals.availability import Availability
from toadstone.registry import Threat, register


@register("attack", needs=("two classes",), threat=Threat(("inputs", "labels"), knows=("data",), inference="nothing"))
@dataclass(frozen=True)
class MinMax:
    """Adds copies of at most two rows, one a class, that stand for all the worst rows which a learner meets.

    It is the game of ``CandidateAttack``, whose points from step ``burn`` on are put at their mean, class by class;
    the poison is floor(rate n) copies of the two, in the proportion in which the classes were played. The sets are
    convex, so that the means pass the filter too. Where one class alone was played there is one row.

    Works where CandidateAttack does: for the learner at the end of the game, against whom the points cost the same at
    their mean, nothing is lost. In place of many rows there are two, which a filter that looks for rows without
    neighbours does not find. Fails where it does, and against a filter of copies. Leaves nothing to chance.

    The paper's attack also keeps the poison's loss under a decoy low, against filters by loss; this one does not.

    - ``game``: the rate, the victim's norm and loss, the radii and the steps.
    - ``burn``: the steps whose points are left out, fewer than those of ``game``.

    Raises ToadstoneError when ``burn`` is not, for whole numbers other than pixels, and where CandidateAttack does.
    """

    game: CandidateAttack = CandidateAttack()  # noqa: RUF009 (frozen)
    burn: Whole = 1000

    def __post_init__(self) -> None:
        if self.burn >= self.game.iterations:
            raise ToadstoneError(f"burn must lie in [0, {self.game.iterations}), the steps of game; not {self.burn}.")

    def goal(self, data: Data) -> Availability:
        """That the model is wrong, whatever the data."""
        return Availability()

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The rows added, those of class 0 first; ``seed`` changes nothing."""
        sets = passing(train, self.game.quantile)
        count = added(self.game.rate, len(train))
        late = np.arange(self.burn, self.game.iterations)
        end = play(mean_loss(signed(unit(train.x), train.y), self.game.loss), sets, self.game, late)
        own = [end.x[end.sign == s] for s in (-1, 1)]
        points = np.stack([x.mean(0) if len(x) else sets[c].centre for c, x in enumerate(own)])
        ones = round(count * len(own[1]) / len(late))
        return repeated(train, points, np.array([count - ones, ones]))
