"""Image scaling as a backdoor. Quiring & Rieck 2020, arXiv:2003.08633."""

from __future__ import annotations

from dataclasses import dataclass

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.core import Data, Poison
from toadstone.fields import NonNegative, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.registry import Threat, register
from toadstone.triggers.base import Trigger
from toadstone.triggers.camouflage import Camouflage
from toadstone.triggers.scalers import Scaler


@register("attack", needs=("labels", "images"), threat=Threat(("inputs", "labels"), (), "trigger"))
@dataclass(frozen=True)
class ImageScaling:
    """A backdoor whose trigger nobody sees at full size: the victim's resize brings it out, in training and after.

    Works and fails as its trigger Camouflage does, which see: on resizes that skip pixels, without a filter before
    them. The labels of the poisoned rows are wrong, and beside a clean picture that can still be seen.

    It is Backdoor(Camouflage(trigger, scaler, eps), target, rate). The rows are full-size pictures, and so are the
    inputs that the goal is measured on: test it on a model that resizes, such as the one that Resized trains.

    - ``trigger``: what the resized pictures are to carry.
    - ``scaler``: how the victim resizes.
    - ``target``: the class wanted, 0..k-1.
    - ``rate``: share of the training rows that are poisoned.
    - ``eps``: grey levels by which the resized picture may be off.

    Raises ToadstoneError as Backdoor and Camouflage do.
    """

    trigger: Trigger
    scaler: Scaler
    target: int = 0
    rate: Share = 0.1
    eps: NonNegative = 1.0

    def backdoor(self) -> Backdoor:
        """The backdoor that this is."""
        return Backdoor(Camouflage(self.trigger, self.scaler, self.eps), self.target, self.rate)

    def goal(self, data: Data) -> BackdoorGoal:
        """What this attack is after, on whatever data."""
        return self.backdoor().goal(data)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """Full-size rows that carry the trigger when they are resized."""
        return self.backdoor().poison(train, seed=seed)
