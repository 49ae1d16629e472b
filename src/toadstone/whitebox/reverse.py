"""What turns clean images into a class: the faintest rectangle, and the faintest change of the whole image.

The searches go like that of Neural Cleanse (Wang et al., IEEE S&P 2019, doi:10.1109/SP.2019.00031), over triggers
with fewer free numbers: a mask that is the product of a row's and a column's profile is as small as a planted patch
where there is one, but a natural trigger, which follows the object, gets larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own idiom)

from toadstone.core import Data
from toadstone.models.torch_model import TorchModel
from toadstone.progress import track
from toadstone.rng import child

REACH = 0.95  # share of images that a trigger must turn
_VALUES = 1 << 20  # values of changed images a forward pass: bounds the memory however many classes there are
_LEAST = 1 / 255  # one grey level of one pixel: what is smaller cannot be seen in a stored image


@dataclass(frozen=True, eq=False)
class Reversed:
    """The smallest trigger of each class: x becomes (1 - mask) x + mask pattern + shift, cut off at 0 and 255.

    ``size`` is the mask's sum in pixels, or the shift's Euclidean norm with white as 1; that of the whole image
    where none was found that turns 95% of the images (``reached`` is False). ``shift`` is in grey levels.
    """

    size: Float[ndarray, " t"]
    reached: Bool[ndarray, " t"]
    mask: Float[ndarray, "t h w"]
    pattern: UInt8[ndarray, "t h w c"]
    shift: Float[ndarray, "t h w c"]

    def stamp(self, which: int, x: UInt8[ndarray, "n h w *c"]) -> UInt8[ndarray, "n h w *c"]:
        """The images ``x`` with the trigger of the class in place ``which``."""
        wide = x[..., None] if x.ndim == 3 else x
        mask = self.mask[which][..., None]
        out = (1 - mask) * wide + mask * self.pattern[which] + self.shift[which]
        stamped: ndarray = np.rint(np.clip(out, 0, 255)).astype(np.uint8).reshape(x.shape)
        return stamped

    def one(self, which: int) -> Reversed:
        """The trigger in place ``which`` alone."""
        return Reversed(**{name: values[which : which + 1] for name, values in vars(self).items()})

    def words(self, which: int = 0) -> str:
        """The trigger as a reader would say it."""
        mask = self.mask[which]
        if mask.max() == 0:
            deep = np.sqrt(np.mean(np.square(self.shift[which])))
            return f"a change of the whole image by {deep:.0f} of 255 grey levels (root mean square)"
        rows, columns = (int((mask.max(a) > mask.max() / 2).sum()) for a in (1, 0))
        share = self.size[which] / mask.size
        return f"a patch of about {rows}x{columns} pixels (as much as {share:.1%} of the image, opaque)"


@dataclass(frozen=True)
class Rectangle:
    """Masks that are a row's profile times a column's, and what they show: sum(mask) pixels."""

    steps: int = 300
    rows: int = 4  # images a gradient step, the same for every class
    window: int = 20  # gradient steps between two decisions on costs and best triggers
    lr: float = 0.1
    betas: tuple[float, float] = (0.5, 0.9)
    cost: float = 1e-3
    factor: float = 2.0

    def start(self, k: int, shape: tuple[int, ...]) -> Tensor:
        """The free numbers of k triggers: both profiles and the pattern, before tanh."""
        c, h, w = shape
        return torch.zeros(k, h + w + c * h * w)

    def parts(self, free: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Masks (k, 1, h, w) and patterns (k, c, h, w) in [0, 1]."""
        c, h, w = shape
        values = (torch.tanh(free) + 1) / 2
        rows, columns, pattern = torch.split(values, [h, w, c * h * w], 1)
        return (rows[:, :, None] * columns[:, None, :])[:, None], pattern.view(-1, c, h, w)

    def change(self, free: Tensor, x: Tensor) -> Tensor:
        """Every image with every trigger, (k, n, c, h, w)."""
        mask, pattern = self.parts(free, tuple(x.shape[1:]))
        return (1 - mask[:, None]) * x + (mask * pattern)[:, None]

    def size(self, free: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What is made small."""
        return self.parts(free, shape)[0].sum((1, 2, 3))

    def largest(self, shape: tuple[int, ...]) -> float:
        """The size of a trigger that replaces the image."""
        return float(shape[1] * shape[2])

    def stored(self, free: Tensor, shape: tuple[int, ...]) -> tuple[ndarray, ndarray, ndarray]:
        """Masks, patterns as pixels and no shifts."""
        mask, pattern = (v.cpu().numpy() for v in self.parts(free, shape))
        pixels = np.rint(255 * pattern.transpose(0, 2, 3, 1)).astype(np.uint8)
        return mask[:, 0], pixels, np.zeros(pixels.shape, np.float32)


@dataclass(frozen=True)
class Shift:
    """One change added to every image, the same for all: its Euclidean norm, with white as 1."""

    steps: int = 200
    rows: int = 8
    window: int = 10
    lr: float = 0.03
    betas: tuple[float, float] = (0.9, 0.999)
    cost: float = 0.1
    factor: float = 1.5

    def start(self, k: int, shape: tuple[int, ...]) -> Tensor:
        """No change at all."""
        return torch.zeros(k, *shape)

    def change(self, free: Tensor, x: Tensor) -> Tensor:
        """Every image with every change, (k, n, c, h, w)."""
        return (x + free[:, None]).clamp(0, 1)

    def size(self, free: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What is made small; the constant keeps the gradient finite where there is no change."""
        return (free.square().flatten(1).sum(1) + 1e-8).sqrt()

    def largest(self, shape: tuple[int, ...]) -> float:
        """The norm of a change from black to white."""
        return float(np.sqrt(np.prod(shape)))

    def stored(self, free: Tensor, shape: tuple[int, ...]) -> tuple[ndarray, ndarray, ndarray]:
        """No masks, no patterns, shifts in grey levels."""
        shift = 255 * free.cpu().numpy().transpose(0, 2, 3, 1)
        return np.zeros(shift.shape[:3], np.float32), np.zeros(shift.shape, np.uint8), shift


def reverse(model: TorchModel, clean: Data, targets: ndarray, kind: Rectangle | Shift, *, seed: int) -> Reversed:
    """The smallest trigger of a ``kind`` for each target class, all classes side by side on the same images.

    min over the trigger of CE(f(changed x), class) + cost size by Adam. The cost rises by ``kind.factor`` while 95%
    of a window's images go over, and falls by its power 1.5 otherwise; of the triggers that did so the smallest is
    kept. A class's trigger does not depend, but for rounding, on which other classes are asked for.
    """
    shape: tuple[int, ...] = model.encode.shape  # type: ignore[attr-defined]
    draw = np.random.default_rng(child(seed, "rows"))
    wanted = torch.from_numpy(np.asarray(targets, np.int64)).to(model.device)
    free = kind.start(len(targets), shape).to(model.device).requires_grad_()
    adam = torch.optim.Adam([free], kind.lr, betas=kind.betas)
    cost = torch.full((len(targets),), kind.cost, device=model.device)
    best, least = torch.zeros_like(free), torch.full_like(cost, torch.inf)
    with model.frozen():
        for _ in track(range(kind.steps // kind.window), f"reversing {type(kind).__name__.lower()}s"):
            hits = torch.zeros_like(cost)
            for _ in range(kind.window):
                x = model.encode(clean.x[np.sort(draw.choice(len(clean), kind.rows, replace=False))])
                adam.zero_grad()
                for part, found in _losses(model, free, x.to(model.device), kind, (wanted, cost)):
                    hits[part] += found
                adam.step()
            with torch.no_grad():
                size, works = kind.size(free, shape), hits / (kind.window * kind.rows) >= REACH
                better = works & (size < least) | least.isinf()
                best[better] = free.detach()[better]
                least = torch.where(works, torch.minimum(size, least), least)
                cost *= torch.where(works, kind.factor, kind.factor**-1.5)
    reached = least.isfinite().cpu().numpy()
    sizes = np.where(reached, least.cpu().numpy().astype(np.float64), kind.largest(shape))
    return Reversed(np.maximum(sizes, _LEAST), reached, *kind.stored(best, shape))


def _losses(
    model: TorchModel, free: Tensor, x: Tensor, kind: Rectangle | Shift, asked: tuple[Tensor, Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """(classes, how many of ``x`` each one's trigger turned); the gradients of their losses are added to ``free``.
    ``asked`` are the classes and the costs of a trigger's size."""
    for part in torch.split(torch.arange(len(free), device=x.device), max(1, _VALUES // x.numel())):
        mine, targets, cost = free[part], *(values[part] for values in asked)
        logits = model.net(kind.change(mine, x).flatten(0, 1))
        y = targets.repeat_interleave(len(x))
        loss = F.cross_entropy(logits, y, reduction="sum") / len(x)
        (loss + (cost * kind.size(mine, tuple(x.shape[1:]))).sum()).backward()  # type: ignore[no-untyped-call]
        yield part, (logits.argmax(1) == y).view(len(part), -1).sum(1)
