"""What turns clean images into a class: one search for the smallest trigger, over any kind of trigger.

That of Neural Cleanse (Wang et al., IEEE S&P 2019, doi:10.1109/SP.2019.00031), for all classes side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from toadstone.core import Data
from toadstone.models.torch_model import TorchModel
from toadstone.progress import track
from toadstone.rng import child
from toadstone.whitebox.kinds import Kind, Mask, Rectangle, Shift

__all__ = ["LEAST", "Kind", "Mask", "Rectangle", "Reversed", "Shift", "reverse"]

LEAST = 1 / 255  # one grey level of one pixel: what is smaller cannot be seen in a stored image
_VALUES = 1 << 20  # values of changed images a forward pass: bounds the memory however many classes there are
_FALL = 0.95  # a size that has not fallen to this share within ``patience`` windows has settled


@dataclass(frozen=True, eq=False)
class Reversed:
    """The smallest trigger of each class: x becomes (1 - mask) x + mask pattern + shift, cut off at 0 and 255.

    ``size`` is the mask's sum in pixels, or the shift's Euclidean norm with white as 1; that of the whole image
    where none was found that turns enough images (``reached`` is False). ``mask`` and ``pattern`` are those of the last
    trigger there. ``shift`` is in grey levels.
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


def reverse(model: TorchModel, clean: Data, targets: ndarray, kind: Kind, *, seed: int) -> Reversed:
    """The smallest trigger of a ``kind`` for each target class, all classes side by side on the same images.

    min over the trigger of CE(f(changed x), class) + cost size by Adam. The cost rises by ``kind.factor`` while a
    share ``kind.reach`` of a window's images goes over, and falls by its power 1.5 otherwise; of the triggers that did
    so the smallest is kept. A class's trigger does not depend, but for rounding, on which other classes are asked for.
    """
    draw = np.random.default_rng(child(seed, "rows"))
    search = _Search(model, targets, kind)
    with model.frozen():
        for _ in track(range(kind.steps // kind.window), f"reversing {type(kind).__name__.lower()}s"):
            for _ in range(kind.window):
                rows = np.sort(draw.choice(len(clean), kind.rows, replace=False))
                search.step(model.encode(clean.x[rows]).to(model.device))
            search.decide()
            if not search.active.any():
                break
    return search.result()


class _Search:
    """The optimisation of all classes side by side; nothing in it passes from one class to another."""

    def __init__(self, model: TorchModel, targets: ndarray, kind: Kind) -> None:
        self.net, self.kind, self.shape = model.net, kind, model.encode.shape
        self.targets = torch.from_numpy(np.asarray(targets, np.int64)).to(model.device)
        self.free = kind.start(len(targets), self.shape).to(model.device).requires_grad_()
        self.adam = torch.optim.Adam([self.free], kind.lr, betas=kind.betas)
        self.best = torch.zeros_like(self.free)
        self.cost = torch.full((len(targets),), kind.cost, device=model.device)
        self.least = torch.full_like(self.cost, torch.inf)
        self.mark = self.least.clone()  # the least size when it last fell by enough
        self.hits, self.since = torch.zeros_like(self.cost), torch.zeros_like(self.cost)
        self.active = torch.ones_like(self.targets, dtype=torch.bool)

    def step(self, x: Tensor) -> None:
        """One gradient step of the active classes on the clean images ``x``."""
        self.adam.zero_grad()
        for part in torch.split(self.active.nonzero()[:, 0], max(1, _VALUES // x.numel())):
            changed, size = self.kind.change(self.free[part], x)
            y = self.targets[part].repeat_interleave(len(x))
            logits = self.net(changed.flatten(0, 1))
            loss = F.cross_entropy(logits, y, reduction="sum") / len(x)
            (loss + (self.cost[part] * size).sum()).backward()  # type: ignore[no-untyped-call]
            self.hits[part] += (logits.argmax(1) == y).view(len(part), -1).sum(1)
        self.adam.step()

    @torch.no_grad()
    def decide(self) -> None:
        """After a window: keep smaller triggers that did their work, move the costs, let settled classes go."""
        kind, size = self.kind, self.kind.size(self.free, self.shape)
        works = self.hits / (kind.window * kind.rows) >= kind.reach
        better = self.active & (works & (size < self.least) | self.least.isinf())
        self.best[better] = self.free[better]
        self.least = torch.where(self.active & works, torch.minimum(size, self.least), self.least)
        self.cost *= torch.where(works, kind.factor, kind.factor**-1.5)
        self.hits.zero_()
        if kind.patience is not None:
            fell = self.least < _FALL * self.mark
            self.mark = torch.where(fell, self.least, self.mark)
            self.since = torch.where(fell, 0, self.since + 1)
            self.active &= self.least.isinf() | (self.since < kind.patience)

    def result(self) -> Reversed:
        """The best trigger of each class, as stored pixels."""
        reached = self.least.isfinite().cpu().numpy()
        sizes = np.where(reached, self.least.cpu().numpy().astype(np.float64), self.kind.largest(self.shape))
        return Reversed(np.maximum(sizes, LEAST), reached, *self.kind.stored(self.best, self.shape))
