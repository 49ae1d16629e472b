"""WaNet. Nguyen & Tran, ICLR 2021, arXiv:2102.10369."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.attacks.data.cover import check_rates, with_cover
from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Remainder, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.registry import Threat, register
from toadstone.triggers.warp import Warp


@register("attack", needs=("labels", "images"), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class WaNet:
    """A share of the rows is bent and gets a false label; more rows are bent at random and keep theirs.

    Works with little to see; the randomly bent rows teach the model that only this one field calls up the
    target. Fails at low rates, and needs more training than a patch, more still with those rows: a small residual
    net that reads traffic signs well after 8 epochs has learnt a bend of 1.2 to 38% by then, and to 67% after 20.
    In the paper the attacker owns the training and bends other rows in every epoch; here the rows are chosen once, as
    an attacker must who only touches the data.

    - ``trigger``: the bend, without its noise mode.
    - ``target``: the class wanted, 0..k-1; not used when ``all_to_all``.
    - ``rate``: share of all training rows that are bent and relabelled.
    - ``noise_rate``: share of all training rows, drawn from the others of any class, that are bent in the noise mode
      and keep their labels, below 1 - rate; 0 for none.
    - ``all_to_all``: rows of any class y become (y + 1) mod k.

    Both kinds are in the poison's mask. Raises ToadstoneError when a rate is out of its range, ``trigger`` is in the
    noise mode, the target is not a class, or there are fewer eligible rows than the rates ask for.

    >>> train = Data(np.zeros((10, 8, 8), np.uint8), np.arange(10) % 2, ("no", "yes"))
    >>> poison = WaNet(target=1, rate=0.2, noise_rate=0.3).poison(train, seed=0)
    >>> len(poison.index), int((poison.y != train.y[poison.index]).sum())
    (5, 2)
    """

    trigger: Warp = field(default_factory=Warp)
    target: int = 0
    rate: Share = 0.1
    noise_rate: Remainder = 0.2
    all_to_all: bool = False

    def __post_init__(self) -> None:
        if self.trigger.noise:
            raise ToadstoneError("trigger is in its noise mode: give it with noise=False; noise_rate adds those rows.")
        self._backdoor()
        check_rates("noise_rate", self.noise_rate, self.rate)

    def _backdoor(self) -> Backdoor:
        return Backdoor(self.trigger, self.target, self.rate, all_to_all=self.all_to_all)

    def goal(self, data: Data) -> BackdoorGoal:
        """What this attack is after, on whatever data."""
        return self._backdoor().goal(data)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows and the cover rows, in order of their row numbers."""
        poison, noisy = self._backdoor().poison(train, seed=seed), replace(self.trigger, noise=True)
        return with_cover(poison, train, noisy, self.noise_rate, np.arange(len(train)), seed=seed)
