"""c-BaN, conditional Backdoor Generating Network. Salem, Wen, Backes, Ma & Zhang, EuroS&P 2022, arXiv:2003.03675."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone.attacks.data.random_backdoor import Locations, check_targets, targets_at
from toadstone.core import Data, Tampered
from toadstone.fields import Count, Filled, NonNegative
from toadstone.goals.backdoors import BackdoorGoal, ManyGoals
from toadstone.models.torch_model import device_of
from toadstone.registry import Threat, register
from toadstone.rng import child, torch_seed
from toadstone.training.train import Train
from toadstone.training.victim import check_plain, descend, untrained
from toadstone.triggers.dynamic import Dynamic
from toadstone.triggers.one_of import OneOf
from toadstone.triggers.patch import Patch
from toadstone.whitebox.pixels import to_pixels


def paste(
    x: Float[Tensor, "n c h w"], patch: Float[Tensor, "n c a b"], place: Int[Tensor, "n 2"]
) -> Float[Tensor, "n c h w"]:
    """Image i with patch i in it, the patch's top left pixel at (row, column) ``place[i]``."""
    n, c, a, b = patch.shape
    row = (place[:, :1] + torch.arange(a))[:, None, :, None]
    column = (place[:, 1:] + torch.arange(b))[:, None, None, :]
    out = x.clone()
    out[torch.arange(n)[:, None, None, None], torch.arange(c)[:, None, None], row, column] = patch
    return out


class Generator(nn.Module):
    """Noise (n, d) and target numbers (n,) -> patches in [0, 1]."""

    def __init__(self, noise: int, targets: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.noise, self.targets, self.shape = noise, targets, shape
        self.from_noise, self.from_target = nn.Linear(noise, 64), nn.Linear(targets, 64)
        self.body = nn.Sequential(nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, int(np.prod(shape))))

    def forward(self, z: Tensor, target: Tensor) -> Tensor:
        """See the class."""
        one_hot = F.one_hot(target, self.targets).float()
        hidden = torch.cat([self.from_noise(z), self.from_target(one_hot)], 1)
        return torch.sigmoid(self.body(hidden)).reshape(-1, *self.shape)

    def draw(self, target: Tensor) -> Tensor:
        """A fresh patch for each of the ``target`` numbers; draws from torch's generator."""
        return self(torch.randn(len(target), self.noise).to(target.device), target)


@register("outsourced", needs=("two classes", "images"), threat=Threat(("inputs", "labels", "training")))
@dataclass(frozen=True)
class ConditionalGenerator:
    """A generator that makes a new trigger for whichever class it is asked for, trained together with the victim.

    Works for all classes at once with triggers that no input had before. Fails where the attacker does not own the
    training; and with several targets at "any" place, a short training does not teach the victim to tell their
    triggers apart. With one target it is the paper's BaN.

    Minimised over victim f and generator g, with noise z, a target t and a place drawn for every row in every step:
    CE(f(x), y) + CE(f(x with g(z, t) there), t) + ``variety`` / |g(z, t) - g(z', t)|, the last a root mean square
    over pixels in [0, 1]. The paper has the first two terms alone; then all triggers of a class became one white
    square on MNIST. The goal holds a bank of triggers made from noise that was not trained on; each input gets one.

    - ``trainer``: the victim's net, the epochs, the optimizer of both nets and the batch size.
    - ``targets``: the classes that the generator knows; None for all.
    - ``size``: side of the patch in pixels.
    - ``locations``: "per class", a disjoint set of the cells of a grid for each target; or "any", everywhere.
    - ``noise``: dimensions of z, standard normal.
    - ``variety``: the price of triggers that are alike; 0 is the paper's loss.
    - ``bank``: triggers a target in the goal.

    Raises ToadstoneError when a field is out of its range, a target is not a class, the patches do not fit, the rows
    are not images of several classes, or the loss diverges.
    """

    trainer: Train = field(default_factory=Train)
    targets: Filled[int] | None = None
    size: Count = 5
    locations: Literal["per class", "any"] = "per class"
    noise: Count = 64
    variety: NonNegative = 0.1
    bank: Count = 32

    def __post_init__(self) -> None:
        check_plain(self.trainer)
        check_targets(self.targets)

    def train(self, train: Data, *, seed: int) -> Tampered:
        """The backdoored model, and the triggers that open it."""
        spots = targets_at(train, self.targets, self.size, self.locations)
        victim = untrained(self.trainer, train, seed=seed)
        with torch_seed(child(seed, "generator")):
            channels = train.x.shape[3] if train.x.ndim == 4 else 1
            generator = Generator(self.noise, len(spots), (channels, self.size, self.size)).to(victim.device)
        sets = [Dynamic(Patch(self.size), spot).places(train.x.shape[1:]) for spot in spots.values()]
        places = torch.from_numpy(np.stack(sets))
        targets, y = torch.tensor(list(spots)), torch.from_numpy(np.asarray(train.y, np.int64))
        targets, y = targets.to(victim.device), y.to(victim.device)

        def loss(batch: np.ndarray) -> Tensor:
            x, drawn = victim.encode(train.x[batch]).to(victim.device), torch.randint(len(targets), (len(batch),))
            place = places[drawn, torch.randint(places.shape[1], (len(batch),))]
            drawn = drawn.to(victim.device)
            patch, other = generator.draw(drawn), generator.draw(drawn)
            both = victim.net(torch.cat([x, paste(x, patch, place)]))
            alike = 1 / ((patch - other).square().mean((1, 2, 3)) + 1e-6).sqrt()  # the root of 0 has no slope
            errors = 2 * F.cross_entropy(both, torch.cat([y[batch], targets[drawn]]))  # the halves are of one length
            return errors + self.variety * alike.mean()

        descend(nn.ModuleList([victim.net, generator]), loss, len(train), self.trainer, seed=seed)
        with torch_seed(child(seed, "bank")):
            return Tampered(victim, self._goal(generator, spots, train.x.ndim))

    def _goal(self, generator: Generator, spots: dict[int, Locations], ndim: int) -> ManyGoals:
        goals = []
        with torch.inference_mode():
            for number, (target, spot) in enumerate(spots.items()):
                patches = to_pixels(generator.draw(torch.full((self.bank,), number, device=device_of(generator))), ndim)
                bank = OneOf(tuple(Dynamic(Patch(pattern=patch), spot) for patch in patches))
                goals.append(BackdoorGoal(bank, target))
        return ManyGoals(tuple(goals))
