"""A progress bar on a terminal's standard error, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], label: str) -> Iterator[T]:
    """Yield ``items``, with a bar when standard error is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal needs it)
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        total = len(items) if isinstance(items, Sized) else None
        yield from bar.track(items, total=total, description=label)
