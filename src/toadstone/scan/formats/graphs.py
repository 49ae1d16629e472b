"""TensorFlow's graphs, as SavedModel, GraphDef or TensorFlow Lite: operators that do more than compute."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import PurePosixPath

from toadstone.scan.formats.keras_json import scan_json
from toadstone.scan.formats.pickles import peek
from toadstone.scan.formats.source import Scan, Window
from toadstone.scan.formats.wire import Broken, Field, Wire

_DOES = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), "calls Python functions of the process that runs it"),
    **dict.fromkeys(
        ("ReadFile", "WholeFileReader", "WholeFileReaderV2", "MatchingFiles"), "reads files whose paths it chooses"
    ),
    **dict.fromkeys(
        ("TextLineReader", "TextLineReaderV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2"), "reads files"
    ),
    **dict.fromkeys(
        ("TFRecordReader", "TFRecordReaderV2", "LMDBReader", "ImmutableConst", "IdentityReader"), "reads files"
    ),
    **dict.fromkeys(("TextLineDataset", "TFRecordDataset", "FixedLengthRecordDataset", "CSVDataset"), "reads files"),
    **dict.fromkeys(("LoadDataset", "DatasetFromGraph", "MatchingFilesDataset", "LMDBDataset"), "reads files"),
    **dict.fromkeys(("WriteFile", "SaveDataset", "DatasetToTFRecord", "SaveSlices", "PrintV2"), "writes files"),
    **dict.fromkeys(("CreateSummaryFileWriter", "CreateSummaryDbWriter", "ImportEvent"), "writes files"),
    **dict.fromkeys(("SqlDataset", "ExperimentalSqlDataset"), "opens databases"),
    **dict.fromkeys(
        ("DebugIdentity", "DebugIdentityV2", "DebugNumericSummary", "DebugNanCount"), "sends numbers to addresses"
    ),
    **dict.fromkeys(("RpcCall", "RpcClient", "RpcServer", "RemoteCall", "Rpc", "TryRpc"), "calls other machines"),
    **dict.fromkeys(("DecodeProtoV2", "EncodeProto"), "reads descriptions of messages from a file it names"),
    **dict.fromkeys(("XlaHostCompute", "GeneratorDataset", "RemoteFusedGraphExecute"), "runs other programs"),
}


def is_graph(window: Window, where: str) -> bool:
    """Whether it is named .pb or .pbtxt's binary kin, or is a SavedModel by its fields."""
    name = PurePosixPath(where.lower()).name
    if name.endswith(".pb"):
        return True
    head = window.at(0, 3)
    if head[:1] != b"\x08" or head[2:] != b"\x12":
        return False
    try:
        numbers = [(field.number, field.size >= 0) for field in Wire(window).fields(0, window.size)]
    except Broken:
        return False
    return set(numbers) == {(1, False), (2, True)}


def scan_graph(scan: Scan, window: Window, where: str) -> bool:
    """Report operators that read, write, call or send. Whether it is a graph."""
    scan.formats.add("tensorflow graph")
    wire = Wire(window)
    try:
        if where.endswith("keras_metadata.pb"):
            _keras(scan, wire, window.size, where)
            return True
        names = set(_operators(wire, window.size))
    except Broken as broken:
        scan.unscanned(where, f"its graph breaks off ({broken})")
        return False
    _report(scan, names, where)
    peek(scan, window, where)
    return bool(names)


def _report(scan: Scan, names: set[str], where: str) -> None:
    for name in sorted(names & _DOES.keys()):
        scan.add("graph-operator", where, f"Its operator {name} {_DOES[name]}.", name=name)


def _keras(scan: Scan, wire: Wire, size: int, where: str) -> None:
    """What Keras writes beside a SavedModel: each layer's description as JSON."""
    for node in wire.fields(0, size):
        for part in wire.fields(*node.inside) if node.size >= 0 else ():
            if part.number == 5 and part.size >= 0:
                scan_json(scan, wire.text(part, 1 << 24), where)


def _operators(wire: Wire, size: int) -> Iterator[str]:
    """The names of the operators of a SavedModel's graphs, or of one graph."""
    fields = list(wire.fields(0, size))
    if any(field.number == 1 and field.size < 0 for field in fields):
        for meta in fields:
            if meta.number == 2 and meta.size >= 0:
                for part in wire.fields(*meta.inside):
                    if part.number == 2 and part.size >= 0:
                        yield from _graph(wire, list(wire.fields(*part.inside)))
    else:
        yield from _graph(wire, fields)


def _graph(wire: Wire, fields: list[Field]) -> Iterator[str]:
    for field in fields:
        if field.size < 0:
            continue
        if field.number == 1:
            yield from _node(wire, field)
        elif field.number == 2:
            for function in wire.fields(*field.inside):
                for part in wire.fields(*function.inside) if function.number == 1 and function.size >= 0 else ():
                    if part.number == 3 and part.size >= 0:
                        yield from _node(wire, part)


def _node(wire: Wire, field: Field) -> Iterator[str]:
    for part in wire.fields(*field.inside):
        if part.number == 2 and part.size >= 0:
            yield wire.text(part)


def is_lite(window: Window, where: str) -> bool:
    """Whether it has TensorFlow Lite's mark."""
    return window.at(4, 4) == b"TFL3"


def scan_lite(scan: Scan, window: Window, where: str) -> None:
    """Report custom operators, and those of TensorFlow, which it names by text."""
    scan.formats.add("tensorflow lite")
    try:
        names = set(_custom(window))
    except (struct.error, ValueError):
        scan.unscanned(where, "its table of operators is damaged")
        return
    _report(scan, {name.removeprefix("Flex") for name in names if name.startswith("Flex")}, where)
    if custom := sorted(name for name in names if not name.startswith(("Flex", "TFLite_"))):
        shown = ", ".join(custom[:4])
        text = f"It needs operators that are not TensorFlow Lite's ({shown}): somebody's native code runs them."
        scan.add("foreign-operator", where, text, level="warning", names=custom[:20])
    peek(scan, window, where)


def _custom(window: Window) -> Iterator[str]:
    """The custom codes in the table of operators of a flatbuffer."""

    def number(at: int, kind: str = "<I") -> int:
        found: int = struct.unpack(kind, window.at(at, struct.calcsize(kind)))[0]
        return found

    def member(table: int, index: int) -> int:
        """Where a field of a table is; 0 where it is not."""
        shape = table - number(table, "<i")
        if shape < 0 or 4 + 2 * index >= number(shape, "<H"):
            return 0
        offset = number(shape + 4 + 2 * index, "<H")
        return table + offset if offset else 0

    codes, graphs = member(number(0), 1), member(number(0), 2)
    if not codes or not graphs:
        raise ValueError("it has no operators or no graph")
    start = codes + number(codes)
    count = number(start)
    if count > 100_000:
        raise ValueError("too many")
    for i in range(count):
        place = start + 4 + 4 * i
        name = member(place + number(place), 1)
        if name:
            at = name + number(name)
            yield window.at(at + 4, min(number(at), 200)).decode("utf-8", "replace")
