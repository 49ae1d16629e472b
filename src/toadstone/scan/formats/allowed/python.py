"""Python's own."""

from __future__ import annotations

from toadstone.scan.formats.allowed.row import NUMBER, PURE, STORES, Rows

PYTHON: Rows = (
    (
        "class",
        r"builtins",
        "set|frozenset|list|dict|tuple|int|float|complex|bytes|bytearray|slice|range|object|str|bool|enumerate|zip|"
        "reversed",
        "plain values",
    ),
    ("value", r"builtins", "Ellipsis|NotImplemented", "constants"),
    (
        "class",
        r"builtins",
        r"(?!Environment)[A-Z]\w*(Error|Warning|Exception|Interrupt|Exit|Iteration)|Exception|"
        "Warning|EnvironmentError",
        "exceptions, which hold their arguments",
    ),
    ("function", r"builtins", "abs|all|any|bin|chr|divmod|hash|hex|len|max|min|ord|pow|round|sorted|sum", PURE),
    (
        "class",
        r"collections",
        "OrderedDict|defaultdict|deque|Counter|ChainMap|UserDict|UserList|UserString",
        "containers; a defaultdict calls its factory, a name that is judged by itself",
    ),
    (
        "function",
        r"copyreg",
        "_reconstructor|__newobj__|__newobj_ex__",
        "make an object of a class without its constructor",
    ),
    ("function", r"_codecs", "encode", "text to bytes by a codec of Python's own registry"),
    ("class", r"datetime", "date|datetime|time|timedelta|timezone", "plain values"),
    ("class", r"decimal|fractions", "Decimal|Fraction", "plain values"),
    ("class", r"uuid", "UUID|SafeUUID", "plain values"),
    ("class", r"ipaddress", "IPv[46](Address|Network|Interface)", "plain values"),
    (
        "class",
        r"pathlib(\._local)?",
        "Pure(Posix|Windows)?Path|PosixPath|WindowsPath|Path",
        "a path as text; nothing is opened",
    ),
    ("class", r"argparse", "Namespace", STORES),
    ("class", r"types", "SimpleNamespace|NoneType|EllipsisType", STORES),
    ("class", r"array", "array", NUMBER),
    ("function", r"array", "_array_reconstructor", NUMBER),
    ("class", r"random", "Random", NUMBER),
    ("function", r"re", "_compile", "compiles a regular expression, which holds no code"),
    ("class", r"itertools", "count|product|repeat|chain|combinations|permutations|cycle|islice", "counts and repeats"),
    ("class", r"_?operator", "itemgetter", "holds keys; what it makes is not called by a pickle unseen"),
    (
        "class",
        r"zoneinfo",
        r"ZoneInfo(\._unpickle)?",
        "a time zone of the system; names that leave its folder are refused",
    ),
    ("function", r"logging", "getLogger", "the program's logger of a name"),
    ("class", r"collections\.abc", "Mapping|MutableMapping|Sequence|Set|Iterable|Callable|Hashable", "abstract"),
)
