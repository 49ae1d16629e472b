"""Reference networks. Each is a frozen description whose ``build`` makes the torch module."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from toadstone.fields import Count, Filled
from toadstone.registry import register


@runtime_checkable
class Net(Protocol):
    """Builds an untrained module for rows of ``shape`` (see Encode.shape) and ``classes`` outputs."""

    feature_layer: ClassVar[str]  # dotted name of the submodule whose output is the representation
    takes: ClassVar[tuple[str, ...]]  # the modalities it can read: "image", "table", "text"

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """A fresh module; draws its weights from torch's generator."""
        ...


@register("net")
@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression; its features are the inputs."""

    feature_layer: ClassVar[str] = "0"
    takes: ClassVar[tuple[str, ...]] = ("image", "table")

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """See Net."""
        return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), classes))


@register("net")
@dataclass(frozen=True)
class MLP:
    """Fully connected layers with ReLU; ``hidden`` lists their widths."""

    hidden: tuple[Count, ...] = (128,)
    feature_layer: ClassVar[str] = "features"
    takes: ClassVar[tuple[str, ...]] = ("image", "table")

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """See Net."""
        widths = (torch.Size(shape).numel(), *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return _Net(nn.Sequential(*layers), nn.Linear(widths[-1], classes))


@register("net")
@dataclass(frozen=True)
class SmallCNN:
    """Two 5x5 convolutions with max-pooling and one hidden layer, for any image of at least 4 x 4 pixels.

    ``width`` is the first layer's channels; the second has twice as many.
    """

    width: Count = 16
    hidden: Count = 512
    feature_layer: ClassVar[str] = "features"
    takes: ClassVar[tuple[str, ...]] = ("image",)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """See Net."""
        c, h, w = shape
        flat = 2 * self.width * (h // 4) * (w // 4)
        body = nn.Sequential(
            nn.Conv2d(c, self.width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(self.width, 2 * self.width, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(flat, self.hidden),
            nn.ReLU(),
        )
        return _Net(body, nn.Linear(self.hidden, classes))


@register("net")
@dataclass(frozen=True)
class PreActResNet:
    """Residual network with pre-activation. He, Zhang, Ren & Sun, ECCV 2016, arXiv:1603.05027.

    ``depth`` is the number of blocks in each of the stages, ``width`` the channels of the first stage; each later
    stage halves the size and doubles the channels. (2, 2, 2, 2) with width 64 is PreAct-ResNet-18.
    """

    width: Count = 16
    depth: Filled[Count] = (1, 1, 1)
    feature_layer: ClassVar[str] = "features"
    takes: ClassVar[tuple[str, ...]] = ("image",)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """See Net."""
        layers: list[nn.Module] = [_Centre(), nn.Conv2d(shape[0], self.width, 3, padding=1, bias=False)]
        channels = self.width
        for stage, blocks in enumerate(self.depth):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                out = self.width * 2**stage
                layers.append(_PreActBlock(channels, out, stride))
                channels = out
        layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return _Net(nn.Sequential(*layers), nn.Linear(channels, classes))


@register("net")
@dataclass(frozen=True)
class BagOfEmbeddings:
    """The mean of the word vectors, one hidden layer, the classes; for text."""

    width: Count = 64
    feature_layer: ClassVar[str] = "features"
    takes: ClassVar[tuple[str, ...]] = ("text",)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """See Net."""
        body = nn.Sequential(_MeanEmbedding(shape[0], self.width), nn.Linear(self.width, self.width), nn.ReLU())
        return _Net(body, nn.Linear(self.width, classes))


@register("net")
@dataclass(frozen=True)
class TextCNN:
    """Convolutions of several widths over word vectors, max over time. Kim, EMNLP 2014, arXiv:1408.5882."""

    width: Count = 64
    channels: Count = 64
    kernels: Filled[Count] = (3, 4, 5)
    feature_layer: ClassVar[str] = "features"
    takes: ClassVar[tuple[str, ...]] = ("text",)

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """See Net."""
        body = _WordConvolutions(shape[0], self.width, self.channels, self.kernels)
        return _Net(body, nn.Linear(self.channels * len(self.kernels), classes))


class _Net(nn.Module):
    def __init__(self, features: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class _Centre(nn.Module):
    """Pixels from [0, 1] to about zero mean and unit variance."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - 0.5) / 0.25


class _PreActBlock(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.shortcut = (
            nn.Identity() if channels == out and stride == 1 else nn.Conv2d(channels, out, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        pre = F.relu(self.bn1(x))
        skip = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(pre)
        return self.conv2(F.relu(self.bn2(self.conv1(pre)))) + skip


class _MeanEmbedding(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        count = (x > 0).sum(1, keepdim=True).clamp(min=1)
        return self.embedding(x).sum(1) / count


class _WordConvolutions(nn.Module):
    def __init__(self, vocabulary: int, width: int, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.kernels = kernels
        self.convs = nn.ModuleList(nn.Conv1d(width, channels, k) for k in kernels)

    def forward(self, x: Tensor) -> Tensor:
        ended = (x == 0)[:, None]  # windows that start after a row's end never count, whatever the batch's length
        v = self.embedding(x).transpose(1, 2)
        pooled = []
        for kernel, conv in zip(self.kernels, self.convs, strict=True):
            windows = conv(F.pad(v, (0, kernel - 1)))
            pooled.append(F.relu(windows.masked_fill(ended, -torch.inf).amax(2)))
        return torch.cat(pooled, 1)
