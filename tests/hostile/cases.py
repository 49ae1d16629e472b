"""A case: the same seed, reader and number always make the same files."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from hostile.containers import Files
from hostile.mutators import mutate, remember
from hostile.places import PLACES
from hostile.readers import READERS

SPECIAL = 100  # numbers below are for special cases, then come changes of places, then of bytes


def write(files: Files, folder: Path) -> None:
    """The files below ``folder``."""
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def prepare(reader: str, number: int, seed: int, folder: Path) -> str:
    """Write a case's files below ``folder`` and say what they are."""
    specials = specials_of(reader) if number < SPECIAL else {}
    if number < len(specials):
        name, files = list(specials.items())[number]
        write(files, folder)
        return name
    rng = random.Random(f"{seed} {reader} {number}")
    files = dict(seeds_of(reader))
    first = rng.choice(sorted({name.split("/")[0] for name in files}))
    if not READERS[reader].environment:  # one set of files is read at a time
        files = {name: body for name, body in files.items() if name.split("/")[0] == first}
    name = rng.choice(sorted(files))
    place = number - SPECIAL if number >= SPECIAL else len(PLACES)
    place = rng.randrange(len(PLACES)) if rng.random() < 0.03 else place
    if place < len(PLACES):
        write(files, folder)
        PLACES[place](folder / name)
        return f"{name}: place {place}"
    if files[name][:2] == b"PK" and rng.random() < 0.5:
        files[name] = remember(files[name], rng)
    elif rng.random() < 0.05:
        other = rng.choice(sorted(seeds_of(reader)))
        cut = rng.randrange(len(files[name]) + 1)
        files[name] = files[name][:cut] + seeds_of(reader)[other][cut:]
    elif rng.random() < 0.03:
        files[name] = b"" if rng.random() < 0.2 else rng.randbytes(rng.randrange(1, 3000))
    else:
        files[name] = mutate(files[name], rng)
    write(files, folder)
    return name


@cache
def seeds_of(reader: str) -> Files:
    return READERS[reader].files()


@cache
def specials_of(reader: str) -> dict[str, Files]:
    made = READERS[reader].special()
    assert len(made) <= SPECIAL, reader  # what comes behind them would never be tried
    return made
