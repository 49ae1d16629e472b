"""What the columns of a table's rows are: how each was made of a column of the user's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toadstone.errors import ToadstoneError


@dataclass(frozen=True)
class Column:
    """One column of ``x``, made of the column ``name`` of a table.

    - ``part`` "number": the number itself, ``fill`` where it is missing. "date": days since 1970, ``fill`` where
      missing. "missing": 1 where the table has nothing, else 0. "category": 1 where the table has the text ``value``,
      else 0. "code": the place of the text in ``values``, ``len(values)`` for any other text or none.

    >>> str(Column("town", "category", value="Ulm")), str(Column("age"))
    ('town=Ulm', 'age')
    """

    name: str
    part: Literal["number", "date", "missing", "category", "code"] = "number"
    value: str = ""
    fill: float = 0.0
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.part == "category":
            return f"{self.name}={self.value}"
        return f"{self.name} is missing" if self.part == "missing" else self.name

    @property
    def key(self) -> tuple[str, str, str, tuple[str, ...]]:
        """Equal for columns that mean the same number by number."""
        return self.name, self.part, self.value, self.values


def places(columns: Sequence[Column], wanted: Sequence[Column], name: str) -> list[int]:
    """Where each of the ``wanted`` columns stands among ``columns``, those of the rows ``name``.

    Raises ToadstoneError that names the columns that one side lacks.

    >>> places([Column("b"), Column("a")], [Column("a"), Column("b")], "trusted")
    [1, 0]
    """
    at = {column.key: place for place, column in enumerate(columns)}
    keys = {column.key for column in wanted}
    lacking = dict.fromkeys(str(column) for column in wanted if column.key not in at)
    beyond = dict.fromkeys(str(column) for column in columns if column.key not in keys)
    if lacking or beyond:
        raise other_columns(name, list(lacking), list(beyond))
    return [at[column.key] for column in wanted]


def other_columns(name: str, lacking: Sequence[str], beyond: Sequence[str]) -> ToadstoneError:
    """The error for rows ``name`` whose columns are not those of the data."""
    parts = [f"lacks {_listed(lacking)}"] if lacking else []
    parts += [f"has {_listed(beyond)}, which data lacks"] if beyond else []
    return ToadstoneError(f"{name} {' and '.join(parts)}: give rows with the same columns, in any order.")


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ("the columns " if len(names) > 1 else "the column ") + ", ".join(map(repr, names[:most])) + more
