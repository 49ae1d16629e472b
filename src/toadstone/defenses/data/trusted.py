"""The rows in question and the trusted ones, as one set: what a detector does, it does to both alike."""

from __future__ import annotations

from toadstone.core import Data
from toadstone.validate import check_same_classes, check_two_classes


def with_trusted(data: Data, clean: Data | None) -> Data:
    """The rows of ``data``, followed by those of ``clean`` if there are any.

    Raises ToadstoneError for a regression set, one class, trusted rows that name other classes or are of one that
    ``data`` lacks.
    """
    check_two_classes(data)
    check_same_classes(data, clean)
    return data if clean is None else data.append(clean)
