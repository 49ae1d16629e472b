"""How far a long loop is, on standard error: a bar on a terminal; elsewhere lines, and only where a command asks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_FIRST = 5.0  # seconds before the first line about a loop
_LONGEST = 60.0  # between two lines; they come twice as late each time


def track(items: Iterable[T], label: str) -> Iterator[T]:
    """Yield ``items``, with a bar when standard error is a terminal, or a line now and then inside ``lines``."""
    if _LINES.asked and not _is_terminal():
        yield from _LINES.through(items, label)
        return
    if not _is_terminal():
        yield from items
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal needs it)
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        total = len(items) if isinstance(items, Sized) else None
        yield from bar.track(items, total=total, description=label)


def stage(label: str) -> None:
    """Say at once, where lines are asked for, that a part of a long run begins."""
    if _LINES.asked and not _is_terminal():
        _LINES.say(label)


@contextmanager
def lines() -> Iterator[None]:
    """Loops inside of the block say how far they are, in plain lines, where standard error is no terminal."""
    before, _LINES.asked = _LINES.asked, True
    try:
        yield
    finally:
        _LINES.asked = before


@dataclass(eq=False)
class _Loop:
    label: str
    total: int | None
    start: float
    done: int = 0

    def words(self, now: float) -> str:
        """ "training: 3 of 20, about 2 min left"."""
        if self.total == 1:
            return self.label
        text = f"{self.label}: {self.done}" + ("" if self.total is None else f" of {self.total}")
        if self.done and self.total:
            text += f", about {duration((now - self.start) / self.done * (self.total - self.done))} left"
        return text


@dataclass
class _Lines:
    """The loops that run, outermost first, and a thread that tells of them: a loop may take minutes for one item."""

    asked: bool = False
    loops: list[_Loop] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def through(self, items: Iterable[T], label: str) -> Iterator[T]:
        loop = _Loop(label, len(items) if isinstance(items, Sized) else None, time.monotonic())
        with self.lock:
            self.loops.append(loop)
            first = len(self.loops) == 1
        over = threading.Event()
        if first:
            threading.Thread(target=self._tell, args=(over,), daemon=True).start()
        try:
            for item in items:
                yield item
                loop.done += 1
        finally:
            over.set()
            with self.lock:
                self.loops.remove(loop)

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def _tell(self, over: threading.Event) -> None:
        start, pause = time.monotonic(), _FIRST
        while not over.wait(pause):
            now, pause = time.monotonic(), min(2 * pause, _LONGEST)
            with self.lock:
                sentences = [loop.words(now) for loop in self.loops]
            try:
                self.say(f"{'; '.join(sentences)} ({duration(now - start)} so far)")
            except (OSError, ValueError):  # standard error is closed
                return


_LINES = _Lines()


def duration(seconds: float) -> str:
    """A length of time, as a person says it.

    >>> duration(4.2), duration(100), duration(9000)
    ('4 s', '2 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
