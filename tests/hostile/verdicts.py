"""What is right and wrong about how a reader answered."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toadstone.core import Data
    from toadstone.findings import Audit

LETTERS = 400  # of a message
FOUND = 1000  # letters of a finding
MOST = 200_000  # findings

# A message names its file, or the argument or part of the data at fault.
_NAMED = re.compile(
    r"\b(case|gtsrb|cifar10|mnist|enron|x|y|label|labels|text|Column|column|Part|parts|classes|class|meta|TOADSTONE_DATA|part|GTSRB|split|name|spec"
    r"|Row|Image|depth|weights|parameter|level|rate|epochs|size|width|net|trigger|registered|decisions?)\b|\{n\}",
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
    from toadstone.findings import Audit

    if isinstance(found, Data):
        return _judge_data(found)
    return _judge_audit(found) if isinstance(found, Audit) and found.kind in ("files", "code") else ""


def _judge_data(found: Data) -> str:
    for name in (*found.classes, *(found.x if found.x.dtype == object else ())):
        try:
            name.encode()
        except UnicodeEncodeError:
            return f"text that cannot be written: {name[:50]!r}"
    return ""


def _judge_audit(found: Audit) -> str:
    """Findings are sentences, and the whole can be written as JSON and as SARIF."""
    from toadstone.scan.sarif import sarif

    for finding in found.findings:
        if not finding.text.isprintable() or len(finding.text) > FOUND or not finding.text.endswith((".", "?")):
            return f"no sentence of {finding.rule} ({len(finding.text)} letters): {finding.text[:250]!r}"
    if len(found.findings) > MOST:
        return f"{len(found.findings)} findings"
    for whole in (found.json(), sarif(found)):
        try:
            json.dumps(whole, allow_nan=False).encode()
        except (ValueError, TypeError) as error:
            return f"it cannot be written: {error}"
    return ""
