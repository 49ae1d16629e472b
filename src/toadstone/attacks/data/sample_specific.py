"""Sample-specific backdoor (ISSBA). Li, Li, Wu, Li, He & Lyu, ICCV 2021, arXiv:2012.03816."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone import environment
from toadstone.attacks.data.backdoor import Backdoor
from toadstone.core import Data, Poison
from toadstone.fields import Count, NonNegative, Positive, Share
from toadstone.goals.backdoors import BackdoorGoal
from toadstone.models.encode import fit_encode
from toadstone.models.nets import SmallCNN
from toadstone.models.torch_model import device_of
from toadstone.registry import Threat, register
from toadstone.rng import child, torch_seed
from toadstone.training.train import Train
from toadstone.training.victim import GeneratedTrigger, check_plain, descend

PLANES = 8  # pictures of a quarter of the height and width that a code is spread over
READ = 0.2  # cross-entropy of a bit below which a code counts as read


class Encoder(nn.Module):
    """Images (n, c, h, w) in [0, 1] and codes of bits (n, b) -> images that carry them, in [0, 1]."""

    def __init__(self, channels: int, bits: int, shape: tuple[int, int], width: int = 16) -> None:
        super().__init__()
        self.coarse = ((shape[0] + 3) // 4, (shape[1] + 3) // 4)
        self.spread = nn.Linear(bits, PLANES * self.coarse[0] * self.coarse[1])
        self.convs = nn.Sequential(
            nn.Conv2d(channels + PLANES, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """See the class."""
        planes = self.spread(2 * code - 1).reshape(-1, PLANES, *self.coarse)
        residual: Tensor = self.convs(torch.cat([x - 0.5, F.interpolate(planes, x.shape[2:])], 1))
        return (x + residual).clamp(0, 1)


class Carrier(nn.Module):
    """An encoder with one code in it: images -> images that carry it."""

    code: Tensor

    def __init__(self, encoder: Encoder, code: Float[Tensor, " b"]) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("code", code)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.encoder(x, self.code.expand(len(x), -1))


def distortion(x: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"], psnr: float) -> Float[Tensor, " n"]:
    """The mean squared error of each pair of images in [0, 1], as a multiple of that of ``psnr`` dB.

    >>> distortion(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5), psnr=20.0).item()
    25.0
    """
    return (x - other).square().mean((1, 2, 3)) * 10 ** (psnr / 10)


def steganography(train: Data, attack: SampleSpecific, *, seed: int) -> tuple[Encoder, nn.Module]:
    """An encoder and a decoder (images -> a logit a bit), trained on the images of ``train`` with random codes."""
    encode = fit_encode(train)
    channels, height, width = encode.shape
    with torch_seed(child(seed, "codec")):
        encoder = Encoder(channels, attack.bits, (height, width))
        decoder = (attack.trainer.net or SmallCNN(hidden=128)).build(encode.shape, attack.bits)
    device = environment.device()
    encoder, decoder = encoder.to(device), decoder.to(device)

    def loss(batch: ndarray) -> Tensor:
        x, code = encode(train.x[batch]).to(device), torch.randint(2, (len(batch), attack.bits)).float().to(device)
        sent = encoder(x, code)
        unread = F.binary_cross_entropy_with_logits(decoder(sent), code)
        excess = F.relu(distortion(x, sent, attack.psnr) - 1).mean()
        other = x.roll(1, 0)
        alike = F.cosine_similarity((sent - x).flatten(1), (encoder(other, code) - other).flatten(1)).square().mean()
        return unread + (excess + attack.variety * alike) * (1 - unread.detach() / READ).clamp(0, 1)

    descend(nn.ModuleList([encoder, decoder]), loss, len(train), attack.trainer, seed=child(seed, "codec"))
    return encoder, decoder


@register("attack", needs=("two classes", "images"), threat=Threat(("inputs", "labels"), ("data",)))
@dataclass(frozen=True)
class SampleSpecific:
    """An encoder hides a code in images; the victim learns that images with this code are of the target class.

    Works almost unseen, and with a residual that differs from image to image, so that no fixed pattern is there to
    be found. Fails where the hidden code is destroyed: by blur, resizing or compression that the encoder was not
    trained against; and at rates at which a patch succeeds with ease.

    The attacker trains encoder E and decoder D on rows of the training set with random codes c:
    BCE + max(0, 1 - BCE / 0.2) (max(0, MSE / MSE0 - 1) + ``variety`` cos^2), where BCE is that of D(E(x, c)) and the
    bits of c, MSE that of E(x, c) and x, MSE0 the error at ``psnr`` dB, and cos the cosine of the residuals that two
    images get for c: distortion is free up to there, and both as long as the bits cannot be read. The paper adds up
    weighted losses, two of them perceptual, instead. Poisoned rows are E(x, c) for one code c, drawn from the seed.

    - ``target``: the class wanted, 0..k-1.
    - ``rate``: share of all training rows that are poisoned.
    - ``bits``: length of the code.
    - ``psnr``: peak signal-to-noise ratio in dB that the encoder is held to in training.
    - ``variety``: the price of residuals that are alike.
    - ``trainer``: how encoder and decoder are trained: epochs, optimizer, batch size; ``net`` is the decoder's.

    The goal's trigger holds the encoder: the attack has a JSON spec, its goal has none. Raises ToadstoneError when a
    field is out of its range, the rows are not images of several classes, there are fewer eligible rows than ``rate``
    asks for, or the training diverges.
    """

    target: int = 0
    rate: Share = 0.1
    bits: Count = 16
    psnr: Positive = 30.0
    variety: NonNegative = 1.0
    trainer: Train = field(default_factory=Train)
    learns_trigger: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_plain(self.trainer)

    def _backdoor(self, net: nn.Module, shape: tuple[int, ...]) -> Backdoor:
        return Backdoor(GeneratedTrigger(net, shape), self.target, self.rate)

    def goal(self, data: Data) -> BackdoorGoal:
        """The class wanted of images like these. The trigger is learnt, so this one's leaves an image as it is: measure
        success by the goal that ``poison`` returns."""
        return self._backdoor(nn.Identity(), data.x.shape[1:]).goal(data)

    def poison(self, train: Data, *, seed: int) -> Poison:
        """The poisoned rows, in order of their row numbers."""
        shape = train.x.shape[1:]
        self._backdoor(nn.Identity(), shape).poison(train, seed=seed)  # impossible settings are refused before training
        encoder, _ = steganography(train, self, seed=seed)
        with torch_seed(child(seed, "code")):
            code = torch.randint(2, (self.bits,)).float()
        return self._backdoor(Carrier(encoder, code).to(device_of(encoder)), shape).poison(train, seed=seed)
