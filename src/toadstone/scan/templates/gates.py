"""Places where a chat template decides by what somebody wrote, or by the date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from toadstone.scan.templates.strings import Strings
from toadstone.scan.templates.taint import CONTENT, DATE, MESSAGE, MESSAGES, PART, STRUCTURE, Taint

CONTROLS = frozenset(
    {
        *("<think>", "</think>", "<thinking>", "</thinking>", "<tool_response>", "</tool_response>", "<tool_call>"),
        *("<mm:think>", "</mm:think>", "CONTINUE_FINAL_MESSAGE_TAG"),
        *("</tool_call>", "<tool_calls>", "<|channel>", "<channel|>", "<|channel|>final<|message|>", "<tool_def_sep>"),
        *("<|channel|>analysis<|message|>", "[BEGIN FINAL RESPONSE]", "</assistant>", "<|kimi_image_placeholder|>"),
        *(
            "<image>",
            "<video>",
            "<audio>",
            "<tool_sep>",
            "<|tool_list_start|>",
            "<|tool_list_end|>",
            "<|begin_of_box|>",
        ),
        *("<|end_of_box|>", "/think", "/no_think", "/nothink", "/system_override", "detailed thinking on"),
        *("detailed thinking off", "reasoning strength", "</s>", "<s>", "<|im_end|>", "<|im_start|>"),
    }
)
"""What published templates look for in a message: marks of reasoning and tools, and switches that are documented."""

_KEYS = frozenset({*STRUCTURE, "text", "parts", "blocks", "value", "data", "document", "content", "thinking"})
_TYPES = frozenset(
    ("defined undefined none string mapping iterable sequence number boolean true false callable").split()  # noqa: SIM905 (as prose it fits the page)
)
_SEEKS = frozenset(
    re.findall(
        r"\w+",
        "split rsplit partition rpartition startswith endswith find rfind index rindex count replace "
        "removeprefix removesuffix strip lstrip rstrip trim translate __contains__ select reject selectattr "
        "rejectattr map",
    )
)
_SORTS = frozenset(("unique", "sort", "groupby", "min", "max"))
_FINDS = frozenset(["startswith", "endswith", "find", "rfind", "index", "rindex", "count", "__contains__"])
_PROSE = re.compile(r"[A-Za-z]{2,}\W+[A-Za-z]{2,}\W+[A-Za-z]{2,}")


_LOOP = nodes.Name("loop", "load")


class Gate(NamedTuple):
    """A decision: the line of the template, "content", "date" or "turns", and the constants that it looks for."""

    line: int
    kind: str
    constants: tuple[str, ...]


def gates(tree: nodes.Template, strings: Strings, taint: Taint) -> list[Gate]:
    """Every decision that is not one of those that honest templates make."""
    return sorted(set(_Gates(strings, taint).found(tree)))


class _Gates:
    def __init__(self, strings: Strings, taint: Taint) -> None:
        self.strings, self.taint = strings, taint

    def found(self, tree: nodes.Template) -> Iterator[Gate]:
        for node in tree.find_all(nodes.Node):
            for kind in self._kinds(node):
                yield Gate(node.lineno, kind, tuple(self._constants(node)[:5]))

    def _constants(self, node: nodes.Node) -> list[str]:
        values = [item for part in node.find_all(nodes.Const) for item in self.strings.of(part)]
        return list(dict.fromkeys(value[:60] for value in values if value not in CONTROLS))

    def _kinds(self, node: nodes.Node) -> set[str]:  # noqa: PLR0911 (one for each kind of node)
        """What a node decides by."""
        match node:
            case nodes.Compare():
                return self._compared([node.expr, *(operand.expr for operand in node.ops)])
            case nodes.Test():
                if node.name in _TYPES:
                    return set()
                return self._compared([node.node, *node.args]) if node.args else self._read(node.node)
            case nodes.Getitem() if not isinstance(node.arg, nodes.Slice):
                return self._read(node.arg) & {CONTENT, DATE}
            case nodes.Mul() | nodes.Pow():
                return self._read(node.left, node.right)
            case nodes.Call(node=nodes.Name(name="range")):
                return self._read(*node.args)
            case nodes.Call(node=nodes.Getattr() as method):
                if method.attr == "get" and node.args:
                    return self._read(node.args[0])
                return self._sought(method.attr, method.node, node.args)
            case nodes.Filter() if node.node is not None:
                given = [*node.args, *(pair.value for pair in node.kwargs)]
                return self._sought(node.name, node.node, given)
        return set()

    def _read(self, *parts: nodes.Node | None) -> set[str]:
        return {CONTENT if label == PART else label for label in self.taint.any(parts) & {CONTENT, PART, DATE}}

    def _compared(self, parts: list[nodes.Node]) -> set[str]:
        """A comparison: with nothing, with small numbers or with known marks it is an honest one."""
        read = self._read(*parts)
        if not read:
            return self._turns(parts)
        fixed = [part for part in parts if not self._read(part)]
        values = [value for part in fixed for value in self.strings.plain(part)]
        known = all(self.strings.plain(part) for part in fixed)
        sizes = not fixed and all(isinstance(part, nodes.Name | nodes.Filter) for part in parts)
        return set() if (sizes or (fixed and known)) and all(map(self._honest, values)) else read

    def _turns(self, parts: list[nodes.Node]) -> set[str]:
        """A comparison of how long the dialogue is, or how far on, with more than honest templates count to."""
        counts = any(
            (
                isinstance(part, nodes.Filter)
                and part.name in ("length", "count")
                and MESSAGES in self.taint.of(part.node)
            )
            or (isinstance(part, nodes.Getattr) and part.attr in ("index", "index0", "length") and part.node == _LOOP)
            for part in parts
        )
        values = [value for part in parts for value in self.strings.plain(part)]
        return {"turns"} if counts and any(type(value) is int and value > 2 for value in values) else set()

    def _honest(self, value: object, *, cuts: bool = False) -> bool:
        """Whether honest templates look for it; those that cut a text do it at punctuation, too."""
        if isinstance(value, list):
            return all(self._honest(item, cuts=cuts) for item in value)
        if isinstance(value, str):
            plain = not re.search(r"\w", value) if cuts else not value.strip()
            return plain or value.strip() in CONTROLS or value in _KEYS
        return value is None or value in (-1, 0, 1, 2)

    def _sought(self, name: str, node: nodes.Node, given: list[nodes.Expr]) -> set[str]:
        """A method or a filter that looks for something in a text."""
        labels = self.taint.of(node)
        read = self._read(node)
        if name in _SORTS and labels & {MESSAGE, MESSAGES}:
            return set() if given and set(self.strings.of(given[-1])) & STRUCTURE else {CONTENT}
        if name not in _SEEKS:
            return set()
        if name in ("selectattr", "rejectattr"):
            keys = self.strings.of(given[0]) if given else []
            plain = len(given) < 2 or (keys and set(keys) <= STRUCTURE) or set(self.strings.of(given[1])) <= _TYPES
            return set() if plain or not labels & {MESSAGE, MESSAGES, CONTENT, PART} else {CONTENT}
        if not read or labels & {MESSAGES}:
            return set()
        values = [value for part in given for value in self.strings.plain(part)]
        if any(not self.strings.plain(part) for part in given):
            return read
        if name == "replace" and len(given) > 1:
            new = self.strings.of(given[1])
            values = [*self.strings.plain(given[0]), *(text for text in new if _PROSE.search(text))]
        cuts = name not in _FINDS
        return set() if name == "map" or all(self._honest(value, cuts=cuts) for value in values) else read
