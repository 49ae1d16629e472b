"""Settings from environment variables, such as the device that nets are trained on."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toadstone.errors import ToadstoneError

if TYPE_CHECKING:
    import torch

_OLD = "BEZOAR_"  # the prefix of variables before version 0.2
_DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def variable(name: str) -> str | None:
    """The environment variable ``TOADSTONE_`` + ``name``, or None; its old name is read too, with a warning.

    An empty variable counts as unset.
    """
    value = os.environ.get(f"TOADSTONE_{name}")
    old = os.environ.get(_OLD + name)
    if not value and old:
        note = f"The environment variable {_OLD}{name} is called TOADSTONE_{name} now: set it under the new name."
        warnings.warn(note, FutureWarning, stacklevel=2)
    return value or old or None


def device() -> torch.device:
    """The device of new nets and of loaded models: TOADSTONE_DEVICE, or, when it is auto or unset, a GPU (CUDA) if
    there is one.

    A model computes on the device of its net and returns numpy arrays. Random numbers are drawn on the CPU, so a seed
    gives the same initial weights and batches on every device.

    Raises ToadstoneError when the variable does not name a device, or names one that is not available.
    """
    import torch  # noqa: PLC0415 (numpy-only users never pay for torch)

    name = variable("DEVICE") or "auto"
    if not _DEVICES.fullmatch(name):
        raise ToadstoneError(f"TOADSTONE_DEVICE is {name!r}: set it to auto, cpu, cuda, cuda:N or mps.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= there:
        raise ToadstoneError(f"TOADSTONE_DEVICE is {name} but torch sees {there} of that kind: take another, or auto.")
    return torch.device(name)


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """Inside the block, and in processes begun there, TOADSTONE_DEVICE is ``name``; see ``device``."""
    before = os.environ.get("TOADSTONE_DEVICE")
    os.environ["TOADSTONE_DEVICE"] = name
    try:
        device()
        yield
    finally:
        if before is None:
            del os.environ["TOADSTONE_DEVICE"]
        else:
            os.environ["TOADSTONE_DEVICE"] = before
