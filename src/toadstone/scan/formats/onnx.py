"""ONNX: files that it names, operators that are not ONNX's, read from the protobuf itself."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from toadstone.scan.formats.pickles import peek
from toadstone.scan.formats.source import Scan, Window
from toadstone.scan.formats.wire import Broken, Field, Wire

_DOMAINS = frozenset(
    {
        *("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"),
        *("com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc"),
    }
)
_PYTHON = frozenset(("PyOp", "PythonOp", "PythonOpGrad", "PyCustomOp", "PythonFunction", "ATen"))
_OUTSIDE = re.compile(r"[/\\~]|[A-Za-z]:|\w+://|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)
_DEEPEST = 24
# numbers of fields: graph 7, functions 25, training 20 of a model; nodes 1 of a graph, 7 of a function; and so on
_SUBGRAPHS = (6, 11)
_TENSORS = (5, 10)


def is_onnx(window: Window, where: str) -> bool:
    """Whether it is named so, or is a message with the fields of a model: its version, a graph, operator sets."""
    if PurePosixPath(where.lower()).suffix == ".onnx":
        return True
    head = window.at(0, 2)
    if len(head) < 2 or head[0] != 8 or not 1 <= head[1] <= 30:
        return False
    seen: dict[int, set[bool]] = {}
    try:
        for field in Wire(window).fields(0, window.size):
            seen.setdefault(field.number, set()).add(field.size >= 0)
    except Broken:
        return False
    return seen.get(7) == {True} and seen.get(8) == {True} and max(seen) <= 40


def scan_onnx(scan: Scan, window: Window, where: str) -> bool:
    """Report files outside its folder and operators that need somebody's code. Whether it is ONNX to its end."""
    scan.formats.add("onnx")
    reader = _Reader(scan, window, where)
    try:
        reader.model()
    except Broken as broken:
        scan.unscanned(where, f"its ONNX breaks off ({broken})")
        return False
    peek(scan, window, where)
    return True


class _Reader:
    def __init__(self, scan: Scan, window: Window, where: str) -> None:
        self.scan, self.where, self.wire, self.size = scan, where, Wire(window), window.size
        self.own: set[tuple[str, str]] = set()
        self.used: set[tuple[str, str]] = set()

    def model(self) -> None:
        graphs = 0
        for field in self.wire.fields(0, self.size):
            if field.number == 7 and field.size >= 0:
                graphs += 1
                self.graph(field, 0)
            elif field.number == 25:
                self.function(field)
            elif field.number == 20:
                for part in self.wire.fields(*field.inside):
                    if part.number in (1, 2):
                        self.graph(part, 0)
        if not graphs:
            raise Broken("it has no graph")
        foreign = sorted(f"{domain}.{name}" for domain, name in self.used - self.own if domain not in _DOMAINS)
        if foreign:
            shown = ", ".join(foreign[:4])
            text = f"It needs operators that are not ONNX's ({shown}): somebody's native code or Python runs them."
            self.scan.add("foreign-operator", self.where, text, level="warning", names=foreign[:20])
        for domain, name in sorted(self.used - self.own):
            if name in _PYTHON:
                text = f"Its operator {name} calls Python that the model names."
                self.scan.add("imports-code", self.where, text, name=f"{domain}.{name}")

    def function(self, field: Field) -> None:
        """A function of the model's own: its name, domain and nodes."""
        name = domain = ""
        for part in self.wire.fields(*field.inside):
            if part.number == 1:
                name = self.wire.text(part)
            elif part.number == 10:
                domain = self.wire.text(part)
            elif part.number == 7:
                self.node(part, 0)
        self.own.add((domain, name))

    def graph(self, field: Field, depth: int) -> None:
        if depth > _DEEPEST:
            raise Broken("its graphs are nested too deeply")
        for part in self.wire.fields(*field.inside):
            if part.number == 1:
                self.node(part, depth)
            elif part.number == 5:
                self.tensor(part)
            elif part.number == 15:
                self.sparse(part)

    def node(self, field: Field, depth: int) -> None:
        name = domain = ""
        attributes = []
        for part in self.wire.fields(*field.inside):
            if part.number == 4:
                name = self.wire.text(part)
            elif part.number == 7:
                domain = self.wire.text(part)
            elif part.number == 5:
                attributes.append(part)
        self.used.add((domain, name))
        for attribute in attributes:
            self.attribute(attribute, name, depth)

    def attribute(self, field: Field, operator: str, depth: int) -> None:
        key = ""
        for part in self.wire.fields(*field.inside):
            if part.size < 0:
                continue
            if part.number == 1:
                key = self.wire.text(part)
            elif part.number in _SUBGRAPHS:
                self.graph(part, depth + 1)
            elif part.number in _TENSORS:
                self.tensor(part)
            elif part.number in (22, 23):
                self.sparse(part)
            elif part.number == 4 and operator == "EPContext" and key == "ep_cache_context":
                self.path(self.wire.text(part))

    def sparse(self, field: Field) -> None:
        for part in self.wire.fields(*field.inside):
            if part.number in (1, 2) and part.size >= 0:
                self.tensor(part)

    def tensor(self, field: Field) -> None:
        """Where a tensor's numbers lie, if in another file."""
        for part in self.wire.fields(*field.inside):
            if part.number == 13 and part.size >= 0:
                told = {item.number: self.wire.text(item, 1 << 16) for item in self.wire.fields(*part.inside)}
                if told.get(1) == "location":
                    self.path(told.get(2, ""))

    def path(self, path: str) -> None:
        if _OUTSIDE.match(path):
            text = "It names a file of weights outside its folder, which its loader would read."
            self.scan.add("onnx-outside-path", self.where, text, path=path[:200])
