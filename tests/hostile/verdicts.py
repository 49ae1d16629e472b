"""What is right and wrong about how a reader answered."""

from __future__ import annotations

import re

LETTERS = 400  # of a message

# A message names its file, or the argument or part of the data at fault.
_NAMED = re.compile(
    r"\b(case|gtsrb|cifar10|mnist|enron|x|y|label|labels|text|Column|column|Part|parts|classes|class|meta|TOADSTONE_DATA|part|GTSRB|split|name|spec"
    r"|Row|Image|parameter|level|rate|epochs|size|width|net|trigger|registered|decisions?)\b|\{n\}",
)


def judge(error: BaseException) -> str:
    """What is wrong with how a reader failed; "" for a ToadstoneError of one sentence."""
    from toadstone.errors import ToadstoneError

    message = str(error)
    if not isinstance(error, ToadstoneError):
        return f"{type(error).__name__}: {message[:200]!r}"
    if not message.isprintable() or len(message) > LETTERS or not message.rstrip().endswith((".", "?")):
        return f"no sentence ({len(message)} letters): {message[:250]!r} ... {message[-60:]!r}"
    if not _NAMED.search(message):
        return f"names nothing: {message!r}"
    return ""


def judge_found(found: object) -> str:
    """What is wrong with what a reader returned."""
    from toadstone.core import Data

    if isinstance(found, Data):
        for name in (*found.classes, *(found.x if found.x.dtype == object else ())):
            try:
                name.encode()
            except UnicodeEncodeError:
                return f"text that cannot be written: {name[:50]!r}"
    return ""
