"""pandas, and the arrays of pyarrow in it."""

from __future__ import annotations

from toadstone.scan.formats.allowed.row import NUMBER, STORES, Rows

_INDEX = "(Datetime|Timedelta|Period|Interval|Categorical|Multi|Range|U?Int64|Float64|Numeric)?Index"

_EXTENSION = "Categorical|DatetimeTZ|Period|Interval|Sparse|String|Boolean|U?Int(8|16|32|64)|Float(32|64)"

PANDAS: Rows = (
    (
        "class",
        r"pandas(\.core\.(frame|series|categorical|indexes\.\w+|arrays\.\w+|dtypes\.dtypes))?",
        rf"DataFrame|Series|{_INDEX}|Categorical|Timestamp|Timedelta|Period|Interval|NA|NaT|({_EXTENSION})Dtype|Flags",
        STORES,
    ),
    (
        "class",
        r"pandas(\.core)?\.arrays(\.(?!arrow)\w+)*",
        r"(Boolean|Datetime|Timedelta|Floating|Integer|Interval|Numpy|NumpyExtension|Pandas|Period|Sparse|String|"
        rf"StringNumpySemantics|ArrowString|ArrowStringArrayNumpySemantics)(Array(NumpySemantics)?)?|({_EXTENSION})Dtype",
        STORES,
    ),
    (
        "class",
        r"pandas\.core\.arrays\.string_arrow|pandas\.core\.arrays\.arrow\.array",
        "ArrowStringArray|ArrowStringArrayNumpySemantics|ArrowExtensionArray",
        STORES,
    ),
    ("class", r"pandas\.core\.internals\.(managers|blocks)", r"(Single)?BlockManager|\w*Block|new_block", STORES),
    ("function", r"pandas\.core\.indexes\.\w+", r"_new_\w*Index", "make an index of a class that is judged by itself"),
    (
        "function",
        r"pandas\._libs\.(internals|arrays|sparse|interval|missing)",
        r"_unpickle_block|__pyx_unpickle_\w+|BlockPlacement|IntIndex|BlockIndex|NDArrayBacked|NAType|Interval",
        NUMBER,
    ),
    (
        "function",
        r"pandas\._libs\.tslibs\.(nattype|offsets|timedeltas|timestamps|period|timezones|dtypes)",
        r"_nat_unpickle|_timedelta_unpickle|_unpickle_timestamp|__pyx_unpickle_\w+|[A-Z]\w*",
        "moments and calendars",
    ),
    ("value", r"pandas\.core\.flags", "Flags", STORES),
    (
        "function",
        r"pyarrow\.lib",
        r"py_buffer|_restore_array|chunked_array|(large_)?string|(large_)?binary|u?int\d+|"
        r"float\d+|bool_|null|timestamp|date32|date64|type_for_alias|(Chunked|String|LargeString)Array",
        NUMBER,
    ),
)
