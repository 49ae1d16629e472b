"""Poison Frogs. Shafahi, Huang, Najibi, Suciu, Studer, Dumitras & Goldstein, NeurIPS 2018, arXiv:1804.00792."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from toadstone.core import Data, Poison, Trainer
from toadstone.errors import ToadstoneError
from toadstone.fields import Count, GreyLevels, NonNegative, Positive, Remainder
from toadstone.goals.backdoors import TargetedGoal
from toadstone.progress import track
from toadstone.registry import Threat, register
from toadstone.rng import child
from toadstone.rows import check_target, check_two_classes
from toadstone.triggers.base import Image, check_images, nested
from toadstone.triggers.blend import blend
from toadstone.whitebox.features import Features, features_of, fitting_image, nearest_rows
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit


@dataclass(frozen=True)
class Splitting:
    """How ``collide`` searches; the fields are those of ``FeatureCollision``."""

    beta: float = 0.25
    step_size: float = 1.0
    steps: int = 200
    eps: int | None = None


def collide(
    features: Features, bases: Float[Tensor, "m c h w"], wanted: Float[Tensor, "m d"], how: Splitting
) -> Float[Tensor, "m c h w"]:
    """For each base an image like it whose features are near ``wanted``, by forward-backward splitting.

    All m pairs are one batch, each with its own step size; none depends on the others.
    """
    beta = how.beta * (wanted.shape[1] / bases[0].numel()) ** 2
    reach = 1.0 if how.eps is None else how.eps / 255
    low, high = (bases - reach).clamp(min=0), (bases + reach).clamp(max=1)
    size = torch.full((len(bases), 1, 1, 1), how.step_size, device=bases.device)
    x, (value, slope) = bases, _objective(features, bases, bases, wanted, beta)
    for _ in track(range(how.steps), "colliding"):
        moved = backward(x - size * slope, bases, size * beta).clamp(low, high)
        new_value, new_slope = _objective(features, moved, bases, wanted, beta)
        falls = new_value <= value
        x, value, slope = (
            torch.where(falls, new, old) for new, old in ((moved, x), (new_value, value), (new_slope, slope))
        )
        size = torch.where(falls, size, size / 2)
    return x


def backward(
    x: Float[Tensor, "m c h w"], base: Float[Tensor, "m c h w"], weight: Float[Tensor, "m 1 1 1"]
) -> Float[Tensor, "m c h w"]:
    """The z that minimises |z - x|^2 / 2 + weight |z - base|^2 / 2: the proximal step.

    >>> one = torch.ones(1, 1, 1, 1)
    >>> backward(one, 0 * one, 0.25 * one).item()
    0.8...
    """
    return (x + weight * base) / (1 + weight)


def _objective(features: Features, x: Tensor, bases: Tensor, wanted: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """|f(x) - wanted|^2 + beta / 2 |x - base|^2 of each row, and the first part's gradient."""
    x = x.detach().requires_grad_()
    far = (features(x) - wanted).square().sum(1)
    (slope,) = torch.autograd.grad(far.sum(), x)
    value = far + beta / 2 * (x - bases).square().sum((1, 2, 3))
    return value.detach()[:, None, None, None], slope


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs",), ("data", "model"), "nothing"))
@dataclass(frozen=True)
class FeatureCollision:
    """A few rows of one class, labelled truly, that look to the net like one image of another class.

    Works in transfer learning, where the victim trains a new layer on the very features that the attacker has: with
    more features than rows one poison is enough. Fails as soon as the victim's features differ: another net, or the
    whole net trained further, unless many poisons carry a watermark of the image. For a base b of the class
    ``target`` and the image t

        x = argmin |f(x) - f(t)|^2 + beta' / 2 |x - b|^2,   beta' = beta (features / pixel values)^2,

    by forward-backward splitting, with pixels in [0, 1]: x <- x - s grad |f(x) - f(t)|^2, then
    x <- (x + s beta' b) / (1 + s beta'), cut to [0, 1]. A step after which the objective is higher is not taken and
    halves that poison's s. The bases are the rows of the class that are nearest to the image in feature space, since
    these have the shortest way. The poisons take their places.

    - ``image``: what shall be misclassified, (h, w) or (h, w, c) whole numbers 0..255.
    - ``target``: the class that it shall get, 0..k-1, and the poisons' true class.
    - ``surrogate``: makes the net whose features f are collided, from the clean rows; a TorchModel.
    - ``count``: how many rows are poisoned.
    - ``beta``: how much the poison shall look like its base.
    - ``step_size``: s at first, a weight of the gradient and not a way in grey levels: how far a pixel moves depends on
      the net's features. Too large a one costs steps until it is halved often enough.
    - ``opacity``: share of the image that is blended into each base beforehand (watermark).
    - ``eps``: the largest change of a pixel from its base after the watermark, grey levels; None for any.

    Raises ToadstoneError when these are out of range, do not fit the data, or there are fewer rows of the class.
    """

    image: Image
    target: int
    surrogate: Trainer
    count: Count = 1
    beta: NonNegative = 0.25
    step_size: Positive = 1.0
    steps: Count = 200
    opacity: Remainder = 0.0
    eps: GreyLevels | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", nested(self.image, "image"))

    def goal(self, data: Data) -> TargetedGoal:
        """What this attack is after, on whatever data."""
        return TargetedGoal((self.image,), self.target)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisons, in order of their row numbers."""
        image = check_targeted(train, self.image, self.target, self.count)
        model = image_surrogate(self.surrogate, train, seed=child(seed, "surrogate"))
        index = nearest_rows((model,), train, image, self.target, self.count)
        bases = to_unit(blend(np.asarray(train.x[index]), image, self.opacity)).to(model.device)
        with model.frozen():
            features = features_of(model)
            wanted = features(to_unit(image[None]).to(model.device)).expand(len(index), -1)
            x = collide(features, bases, wanted, Splitting(self.beta, self.step_size, self.steps, self.eps))
        return Poison(index, to_pixels(x, train.x.ndim), train.y[index], self.goal(train))


def check_targeted(train: Data, image: Image, target: int, count: int) -> ndarray:
    """``image`` as uint8; ToadstoneError unless ``train`` has images of its shape and enough rows of ``target``."""
    check_two_classes(train, "train")
    check_images(train.x)
    array = fitting_image(train, image)
    check_target(train, target)
    if (rows := int(train.counts()[target])) < count:
        raise ToadstoneError(f"count is {count} but train has {rows} rows of class {target}: ask for fewer.")
    return array
