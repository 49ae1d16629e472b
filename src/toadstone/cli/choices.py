"""Words that an option takes one of: the nearest to a wrong one, and what a shell completes a word to."""

from __future__ import annotations

from collections.abc import Callable, Collection

from toadstone.errors import ToadstoneError


def check_choice(option: str, word: str | None, known: Collection[str]) -> None:
    """Raise ToadstoneError, which tells the nearest, for a word that is not ``known``."""
    if word is None or word in known:
        return
    import difflib

    near = difflib.get_close_matches(word.lower(), known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise ToadstoneError(f"{option} {word!r} is not known. {hint}Use one of {', '.join(sorted(known))}.")


def registered(column: str = "name", *contracts: str) -> Callable[[str], list[str]]:
    """Completes to what is in a column of `toadstone list`, of these contracts or of all."""

    def complete(incomplete: str) -> list[str]:
        from toadstone.registry import entries

        chosen = [e for e in entries() if e.contract in contracts or not contracts]
        return sorted({word for e in chosen if (word := str(getattr(e, column))).startswith(incomplete)})

    return complete


def threats(incomplete: str) -> list[str]:
    """Completes to a threat model."""
    from toadstone.registry import THREATS

    return [word for word in THREATS if word.startswith(incomplete)]
