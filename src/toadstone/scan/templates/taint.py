"""What each expression of a chat template is made of: messages, what is written in them, the date."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jinja2 import nodes

from toadstone.scan.templates.strings import Strings
from toadstone.scan.templates.syntax import names

CONTENT = "content"  # what somebody wrote in a message, or a part of it
PART = "part"  # an item of a message's content: {"type": "text", "text": ...}
MESSAGE = "message"
MESSAGES = "messages"
DATE = "date"

STRUCTURE = frozenset(
    re.findall(
        r"\w+",
        "role type name id tool_call_id tool_calls tool_responses function function_call recipient channel "
        "image image_url video video_url audio audio_url tools documents citations",
    )
)
"""Keys of messages and of their parts that hold no text of an author."""
_SIZES = frozenset(("length", "count"))
_CHOICE = frozenset(
    ("selectattr", "rejectattr", "select", "reject", "list", "reverse", "sort", "unique", "batch", "slice")
)
_ONE = frozenset(("first", "last", "random"))
_DATES = frozenset(("strftime_now", "now", "datetime", "today", "date_string", "current_date"))


class Taint:
    """Labels of variables, by name and whatever the order of the statements; and of expressions."""

    def __init__(self, tree: nodes.Template, strings: Strings) -> None:
        self.strings = strings
        self.labels = dict.fromkeys(("messages", "conversation", "conversations", "chat"), frozenset((MESSAGES,)))
        self.macros = {macro.name: macro for macro in tree.find_all(nodes.Macro)}
        walk = list(
            tree.find_all((nodes.Macro, nodes.Assign, nodes.AssignBlock, nodes.For, nodes.Call, nodes.CallBlock))
        )
        for _ in range(12):  # until nothing changes; each round reaches one variable further
            before = dict(self.labels)
            for node in walk:
                self._flow(node)
            if self.labels == before:
                break

    def _add(self, name: str, labels: frozenset[str]) -> None:
        if labels:
            self.labels[name] = self.labels.get(name, frozenset()) | labels

    def _flow(self, node: nodes.Node) -> None:
        """Give the variables that a node assigns the labels of what they are assigned."""
        match node:
            case nodes.Macro():
                self._add(f"{node.name}()", self.body(node.body))
            case nodes.Assign():
                self._assign(node.target, node.node)
            case nodes.AssignBlock():
                for name in names(node.target):
                    self._add(name, self.body(node.body))
            case nodes.For():
                for name in names(node.target):
                    self._add(name, self.items(node.iter))
            case nodes.Call(node=nodes.Name(name="namespace")):
                return
            case nodes.Call(node=nodes.Name() as called) if called.name in self.macros:
                macro = self.macros[called.name]
                for arg, value in zip(macro.args, node.args, strict=False):
                    self._add(arg.name, self.of(value))
                for pair in node.kwargs:
                    self._add(f"{pair.key}@{macro.name}", self.of(pair.value))
                more = node.args[len(macro.args) :]
                self._add("varargs", self.any(more))
                self._add("kwargs", self.any(pair.value for pair in node.kwargs))
            case nodes.CallBlock():
                self._add("caller", self.body(node.body))

    def _assign(self, target: nodes.Node, value: nodes.Node) -> None:
        if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "namespace":
            for space in names(target):
                for pair in value.kwargs:
                    self._add(f"{space}.{pair.key}", self.of(pair.value))
            return
        if isinstance(target, nodes.Tuple) and isinstance(value, nodes.Tuple) and len(target.items) == len(value.items):
            for one, its in zip(target.items, value.items, strict=True):
                self._assign(one, its)
            return
        for name in names(target):
            self._add(name, self.of(value))

    def any(self, parts: Iterable[nodes.Node | None]) -> frozenset[str]:
        """The labels of several expressions."""
        return frozenset[str]().union(*(self.of(part) for part in parts if part is not None))

    def body(self, statements: Iterable[nodes.Node]) -> frozenset[str]:
        """The labels of what statements print."""
        found = (part for statement in statements for output in _outputs(statement) for part in output.nodes)
        return self.any(found)

    def items(self, node: nodes.Node) -> frozenset[str]:
        """The labels of what a loop over an expression goes through."""
        labels = self.of(node)
        found = labels & {DATE}
        if MESSAGES in labels:
            found |= {MESSAGE}
        if labels & {CONTENT, PART}:
            found |= {CONTENT if isinstance(node, nodes.Call | nodes.Filter) else PART}
        return found | (labels & {MESSAGE})

    def of(self, node: nodes.Node | None) -> frozenset[str]:  # noqa: PLR0911 (one for each kind of node)
        """The labels of an expression."""
        match node:
            case None | nodes.Const() | nodes.TemplateData():
                return frozenset()
            case nodes.Name():
                return self.labels.get(node.name, frozenset({DATE} if node.name in _DATES else ()))
            case nodes.Getattr() | nodes.Getitem():
                return self._member(node)
            case nodes.Filter():
                return self._filter(node)
            case nodes.Call():
                return self._call(node)
            case nodes.Test():
                return self.any([node.node, *node.args]) & {CONTENT, PART, DATE} if node.args else frozenset()
            case nodes.CondExpr():
                return self.any([node.expr1, node.expr2])
        return self.any(node.iter_child_nodes())

    def _member(self, node: nodes.Getattr | nodes.Getitem) -> frozenset[str]:
        """An attribute or item."""
        if isinstance(node, nodes.Getattr):
            if isinstance(node.node, nodes.Name) and f"{node.node.name}.{node.attr}" in self.labels:
                return self.labels[f"{node.node.name}.{node.attr}"]
            keys, number = [node.attr], False
        else:
            keys = self.strings.of(node.arg)
            values = self.strings.plain(node.arg)
            number = not keys or any(isinstance(value, int) for value in values)
        labels = self.of(node.node)
        found = labels & {DATE, CONTENT}
        if MESSAGES in labels:
            found |= {MESSAGES if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice) else MESSAGE}
        if labels & {MESSAGE, PART} and not (keys and set(keys) <= STRUCTURE):
            found |= {CONTENT}
        if CONTENT in labels and number and isinstance(node, nodes.Getitem):
            found |= {PART} if not isinstance(node.arg, nodes.Slice) else frozenset()
        if keys and set(keys) <= STRUCTURE:  # of a part of a content
            found -= {CONTENT, PART}
        if keys and set(keys) <= {"previtem", "nextitem"}:
            found |= {MESSAGE, PART}
        return found

    def _filter(self, node: nodes.Filter) -> frozenset[str]:  # noqa: PLR0911 (one for each kind of filter)
        labels = self.any([node.node, *node.args, *(pair.value for pair in node.kwargs)])
        if node.name in _SIZES:
            return labels & {CONTENT}
        if MESSAGES in labels:
            if node.name in _CHOICE:
                return labels
            if node.name in _ONE:
                return labels - {MESSAGES} | {MESSAGE}
            if node.name == "map" and all(set(self.strings.of(pair.value)) <= STRUCTURE for pair in node.kwargs):
                return labels - {MESSAGES}
            return labels | {CONTENT}
        if MESSAGE in labels and node.name in (
            "attr",
            "tojson",
            "string",
            "join",
            "items",
            "dictsort",
            "pprint",
            "xmlattr",
        ):
            return labels | {CONTENT}
        return labels

    def _call(self, node: nodes.Call) -> frozenset[str]:
        given = self.any([*node.args, *(pair.value for pair in node.kwargs), node.dyn_args, node.dyn_kwargs])
        if isinstance(node.node, nodes.Name):
            if node.node.name in self.macros:
                return self.labels.get(f"{node.node.name}()", frozenset())
            return given | (self.of(node.node) & {DATE, CONTENT})
        if isinstance(node.node, nodes.Getattr):
            labels = self.of(node.node.node)
            if node.node.attr == "get" and node.args:
                item = nodes.Getitem(node.node.node, node.args[0], "load")
                return self._member(item) | self.any(node.args[1:])
            if labels & {MESSAGE, MESSAGES} and node.node.attr in ("items", "values", "pop"):
                labels |= {CONTENT, MESSAGE}
            return labels | given
        return self.of(node.node) | given


def _outputs(node: nodes.Node) -> Iterable[nodes.Output]:
    return [node] if isinstance(node, nodes.Output) else node.find_all(nodes.Output)
