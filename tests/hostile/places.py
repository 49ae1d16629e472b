"""Changes of places: pipes, devices, loops, odd names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _becomes(target: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _denied(path: Path) -> None:
    path.chmod(0)


def _renamed(name: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        os.rename(path, os.path.join(os.fsencode(path.parent), name + os.fsencode(path.suffix)))

    return change


PLACES: tuple[Callable[[Path], None], ...] = (
    _fifo, _becomes("/dev/zero"), _becomes("/dev/full"), _becomes("/nowhere"), _becomes("/proc/self/mem"), _loop,
    _directory, _denied, _renamed(b"case\n\x1b[2J"), _renamed(b"case\xff\xfe"), _renamed(b"case" + b"x" * 200),
    _becomes("."), Path.unlink,
)  # fmt: skip
