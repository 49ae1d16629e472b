"""Tables in memory: frames of pandas and polars and Arrow tables, by Arrow's own protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

from toadstone.core import Data
from toadstone.data.tabular import Wanted, table_data, without_index
from toadstone.errors import ToadstoneError
from toadstone.files import reading

if TYPE_CHECKING:
    import pyarrow as pa


@runtime_checkable
class Frame(Protocol):
    """What gives its columns by Arrow's protocol: pandas from 2.2, polars, Arrow tables, DuckDB relations."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule of an Arrow stream."""
        ...


def is_frame(value: object) -> TypeGuard[Frame]:
    """Whether ``value`` is a table in memory; older frames of pandas, which Arrow knows by itself, are."""
    return isinstance(value, Frame) or (type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "columns"))


def frame_data(frame: object, wanted: Wanted) -> tuple[Data, pa.Table]:
    """The rows of a frame (see ``table_data``), and the whole frame as an Arrow table."""
    if not is_frame(frame):
        raise ToadstoneError(
            f"data is a {type(frame).__name__}: give a name, a path, a frame of pandas or polars, or an Arrow table."
        )
    table = as_table(frame)
    with reading("frame", "is a table that cannot be read", "mend it"):
        return table_data(without_index(table), wanted, "the frame", []), table


def as_table(frame: Frame) -> pa.Table:
    """The frame as an Arrow table. Raises ToadstoneError where a column mixes types."""
    import pyarrow as pa  # noqa: PLC0415 (only tables need it)

    if isinstance(frame, pa.Table):
        return frame
    with reading("frame", "has a column that is of no one type", "make it numbers or strings"):
        if type(frame).__module__.split(".")[0] == "pandas":
            return pa.Table.from_pandas(frame)
        return pa.table(frame)
