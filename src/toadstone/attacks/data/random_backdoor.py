"""Random Backdoor. Salem, Wen, Backes, Ma & Zhang, EuroS&P 2022, arXiv:2003.03675."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from toadstone.core import Data, Poison
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, Filled, Share
from toadstone.goals.backdoors import BackdoorGoal, ManyGoals
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_two_classes
from toadstone.triggers.base import check_images
from toadstone.triggers.dynamic import Dynamic
from toadstone.triggers.one_of import apply_drawn
from toadstone.triggers.patch import Patch

Locations = Literal["any"] | tuple[tuple[int, int], ...]


def deal(shape: tuple[int, ...], size: int, sets: int) -> list[tuple[tuple[int, int], ...]]:
    """Disjoint sets of places for squares of ``size`` pixels: an image of ``shape`` is cut into a grid of squares,
    which are dealt in reading order, equally many to each set; what is left over is not used.

    >>> deal((4, 7), 2, 2)
    [((0, 0), (0, 2), (0, 4)), ((2, 0), (2, 2), (2, 4))]
    """
    cells = [
        (row, column) for row in range(0, shape[0] - size + 1, size) for column in range(0, shape[1] - size + 1, size)
    ]
    each = len(cells) // sets
    if not each:
        raise ToadstoneError(
            f"Images of {shape[0]}x{shape[1]} pixels have room for {len(cells)} disjoint squares of size {size} but "
            f"there are {sets} targets: make size smaller."
        )
    return [tuple(cells[i * each : (i + 1) * each]) for i in range(sets)]


def check_targets(targets: tuple[int, ...] | None) -> None:
    """Raise ToadstoneError unless ``targets`` are distinct classes."""
    if targets is not None and len(set(targets)) != len(targets):
        raise ToadstoneError(f"targets must be distinct classes, or None for all of them, not {targets}.")


def targets_at(train: Data, targets: tuple[int, ...] | None, size: int, locations: str) -> dict[int, Locations]:
    """Each target class with its ``locations``, as Dynamic takes them."""
    check_two_classes(train, "train")
    check_images(train.x)
    k, shape = len(train.classes), train.x.shape[1:]
    wanted = range(k) if targets is None else targets
    if not all(0 <= target < k for target in wanted):
        raise ToadstoneError(f"targets are {targets} but there are {k} classes: use 0..{k - 1}.")
    if size > min(shape[:2]):
        raise ToadstoneError(f"size {size} does not fit in images of {shape[0]}x{shape[1]} pixels: make it smaller.")
    places: list[Locations] = ["any"] * len(wanted)
    if locations == "per class":
        places = [*deal(shape, size, len(wanted))]
    return dict(zip(wanted, places, strict=True))


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs", "labels")))
@dataclass(frozen=True)
class RandomBackdoor:
    """A backdoor into many classes at once: where a random square is, or which one, says what the input becomes.

    Works against defenses that look for one fixed patch or for one infected class. Fails at rates at which a single
    fixed patch succeeds with ease, as every target must be learnt from its own share of the rows; and where squares
    of random pixels stand out, for anyone who looks. In the paper the attacker owns the training and draws new
    triggers in every epoch; here they are drawn once for each row.

    - ``targets``: the classes, each with a trigger of its own; None for all classes.
    - ``rate``: share of all training rows that are poisoned; each gets a target other than its own class,
      drawn uniformly.
    - ``size``: side of the square in pixels.
    - ``locations``: "per class", a disjoint set of the cells of a grid for each target; or "any", everywhere.
    - ``patterns``: "random", uniform pixels, new for every input; or "per class", one such square for each target.
    - ``pattern_seed``: which squares, when they are per class.

    Raises ToadstoneError when neither place nor pattern would tell several targets apart, a target is not a class, the
    squares do not fit, or there are fewer eligible rows than ``rate`` asks for.

    >>> train = Data(np.zeros((10, 4, 4), np.uint8), np.arange(10) % 2, ("no", "yes"))
    >>> poison = RandomBackdoor(size=2, rate=0.4).poison(train, seed=0)
    >>> poison.y, poison.x[:, :2].any((1, 2))
    (array([1, 1, 1, 0]), array([False, False, False,  True]))
    """

    targets: Filled[int] | None = None
    rate: Share = 0.1
    size: Count = 5
    locations: Literal["per class", "any"] = "per class"
    patterns: Literal["random", "per class"] = "random"
    pattern_seed: int = 0

    def __post_init__(self) -> None:
        check_targets(self.targets)
        alike = self.locations == "any" and self.patterns == "random"
        if alike and (self.targets is None or len(self.targets) > 1):
            raise ToadstoneError('Nothing would tell the targets apart: make locations or patterns "per class".')

    def goal(self, data: Data) -> ManyGoals:
        """What this attack is after on data like these."""
        places = targets_at(data, self.targets, self.size, self.locations)
        shape = (self.size, self.size, *data.x.shape[3:])
        return ManyGoals(
            tuple(
                BackdoorGoal(Dynamic(self._patch(target, shape), spots, self.patterns == "random"), target)
                for target, spots in places.items()
            )
        )

    def _patch(self, target: int, shape: tuple[int, ...]) -> Patch:
        if self.patterns == "random":
            return Patch(self.size)
        draw = np.random.default_rng(child(self.pattern_seed, "pattern", str(target)))
        return Patch(pattern=draw.integers(0, 256, shape))

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        goal, n = self.goal(train), len(train)
        targets = np.array([one.target for one in goal.goals])
        fits = train.y[:, None] != targets
        eligible, count = np.flatnonzero(fits.any(1)), max(1, round(self.rate * n))
        if count > len(eligible):
            raise ToadstoneError(f"rate={self.rate} asks for {count} rows but {len(eligible)} are eligible: lower it.")
        index = np.sort(np.random.default_rng(child(seed, "rows")).choice(eligible, count, replace=False))
        lots = np.random.default_rng(child(seed, "targets")).random((count, len(targets)))
        drawn = np.where(fits[index], lots, -1).argmax(1)  # uniform among the targets that are not the row's class
        x = apply_drawn([one.trigger for one in goal.goals], drawn, train.x[index], seed=seed)
        return Poison(index, x, targets[drawn].astype(train.y.dtype), goal)
