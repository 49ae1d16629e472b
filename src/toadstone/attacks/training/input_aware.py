"""Input-aware dynamic backdoor. Nguyen & Tran, NeurIPS 2020, arXiv:2010.08138."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone.core import Data, Tampered
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, NonNegative, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.registry import Threat, register
from toadstone.rng import child, torch_seed
from toadstone.training.train import Train
from toadstone.training.victim import GeneratedTrigger, check_plain, descend, untrained
from toadstone.whitebox.pixels import to_pixels, to_unit


def diversity(x: Float[Tensor, "n ..."], other: Float[Tensor, "n ..."], a: Tensor, b: Tensor) -> Float[Tensor, ""]:
    """Mean of |x - other| / |a - b|, root mean squares over each row: large where unlike inputs have like triggers.

    >>> diversity(torch.zeros(1, 4), torch.ones(1, 4), torch.zeros(1, 2), torch.full((1, 2), 0.5)).item()
    2.0
    """
    gap, moved = ((u - v).flatten(1).square().mean(1) for u, v in ((x, other), (a, b)))
    return (gap.sqrt() / (moved + 1e-9).sqrt()).mean()  # the root of 0 has no slope


def inject(x: Tensor, pattern: Tensor, mask: Tensor) -> Tensor:
    """x (1 - mask) + pattern mask."""
    return x + mask * (pattern - x)


class Sketch(nn.Module):
    """Images (n, c, h, w) -> (n, out, h, w) numbers of any size, through a bottleneck of a quarter of the width."""

    def __init__(self, channels: int, out: int, width: int = 16) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 2 * width, width)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))
        self.last = nn.Conv2d(width, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        whole, half = x.shape[2:], ((x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2)
        quarter = ((half[0] + 1) // 2, (half[1] + 1) // 2)
        for conv, size in zip(self.convs, (half, quarter, half, whole), strict=True):
            x = F.relu(conv(x))
            shrinks = size[0] < x.shape[2]
            x = F.adaptive_max_pool2d(x, size) if shrinks else F.interpolate(x, size, mode="bilinear")
        return self.last(x)


class Generators(nn.Module):
    """The pattern's and the mask's generator; as a whole, an image in [0, 1] -> the image with its own trigger."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.patterns, self.masks = Sketch(channels, channels), Sketch(channels, 1)

    def pattern(self, x: Tensor) -> Tensor:
        """What is put on ``x``, in [0, 1]."""
        return torch.sigmoid(self.patterns(x))

    def mask(self, x: Tensor) -> Tensor:
        """How much of it, pixel by pixel, in [0, 1]: mostly all or nothing."""
        return torch.sigmoid(20 * self.masks(x))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return inject(x, self.pattern(x), self.mask(x))


def crossed(trigger: GeneratedTrigger, x: ndarray, others: ndarray) -> ndarray:
    """Each image of ``x`` with the trigger that is made for the image of ``others`` in its place.

    An accurate victim gives these their true labels: a trigger is worth nothing on another input.
    """
    trigger.check(x)
    nets = trigger.net
    assert isinstance(nets, Generators)
    with torch.inference_mode():
        source = to_unit(others)
        return to_pixels(inject(to_unit(x), nets.pattern(source), nets.mask(source)), x.ndim)


@register("outsourced", needs=("two classes", "images"), threat=Threat(("inputs", "labels", "training")))
@dataclass(frozen=True)
class InputAware:
    """Every input has a trigger of its own, which a generator makes from it; put on another input, it does nothing.

    Works against defenses that look for one pattern, or try a suspected trigger on other inputs. Fails where the
    attacker does not own the training, and where inputs are so alike that one cannot be told from another.

    The trigger is B(x, x') = x (1 - m(x')) + p(x') m(x') with nets for the mask m and the pattern p. First m learns
    alone: diversity(m) + norm_weight max(0, mean m - density). Then victim and p learn together, m fixed: of each
    minibatch a share ``attack`` of the rows is B(x, x) with the target as label, a share ``cross`` is B(x, x') with
    another row x' and its own label, the others are clean; cross-entropy + diversity(p). For two rows diversity(f)
    is |x - x'| / |f(x) - f(x')|.

    - ``trainer``: the victim's net, the epochs of the second phase, the optimizer of all nets, the batch size.
    - ``target``: the class wanted, 0..k-1.
    - ``mask_epochs``: of the first phase.
    - ``attack``, ``cross``: shares of each minibatch (the first of them at least one row), together below 1.
    - ``density``: the share of an image that the mask may take free of charge.
    - ``norm_weight``: the price of more.

    The goal's trigger holds the nets: the attack has a JSON spec, its goal has none. Raises ToadstoneError when a field
    is out of its range, the target is not a class, the rows are not images of several classes, or the loss diverges.
    """

    trainer: Train = field(default_factory=Train)
    target: int = 0
    mask_epochs: Count = 5
    attack: Share = 0.1
    cross: Share = 0.1
    density: Share = 0.032
    norm_weight: NonNegative = 100.0

    def __post_init__(self) -> None:
        check_plain(self.trainer)
        if self.attack + self.cross >= 1:
            raise ToadstoneError(f"attack={self.attack} and cross={self.cross} must be below 1 together.")

    def train(self, train: Data, *, seed: int) -> Tampered:
        """The backdoored model, and the generator that opens it."""
        victim = untrained(self.trainer, train, seed=seed)
        with torch_seed(child(seed, "generators")):
            nets = Generators(train.x.shape[3] if train.x.ndim == 4 else 1).to(victim.device)
        goal = BackdoorGoal(GeneratedTrigger(nets, train.x.shape[1:]), self.target)
        goal.rows(train)  # says so when the target is not a class
        y = torch.from_numpy(np.asarray(train.y, np.int64)).to(victim.device)

        def mask_loss(batch: ndarray) -> Tensor:
            x = victim.encode(train.x[batch]).to(victim.device)
            mask, other = nets.mask(x), x.roll(1, 0)
            excess = F.relu(mask.mean((1, 2, 3)) - self.density).mean()
            return diversity(x, other, mask, mask.roll(1, 0)) + self.norm_weight * excess

        def joint_loss(batch: ndarray) -> Tensor:
            x, label = victim.encode(train.x[batch]).to(victim.device), y[batch].clone()
            attacked = min(max(1, round(self.attack * len(x))), len(x) - 1)
            changed = min(attacked + round(self.cross * len(x)), len(x) - 1)
            sources = x[: changed + 1]  # row i of those that are changed has row i + 1 for its x'
            pattern = nets.pattern(sources)
            with torch.no_grad():
                mask = nets.mask(sources)
            own = torch.arange(changed) + (torch.arange(changed) >= attacked)
            x = torch.cat([inject(x[:changed], pattern[own], mask[own]), x[changed:]])
            label[:attacked] = self.target
            return F.cross_entropy(victim.net(x), label) + diversity(
                sources[1:], sources[:-1], pattern[1:], pattern[:-1]
            )

        first = replace(self.trainer, epochs=self.mask_epochs)
        descend(nets.masks, mask_loss, len(train), first, seed=child(seed, "masks"))
        descend(nn.ModuleList([victim.net, nets.patterns]), joint_loss, len(train), self.trainer, seed=seed)
        return Tampered(victim, goal)
