"""Expressions of a template that leave the dialogue: Python's internals, other files, the program around it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from toadstone.scan.templates.strings import Strings
from toadstone.scan.templates.syntax import names, targets

_UNDER = re.compile(r"__[A-Za-z]\w*__")
_HELPERS = frozenset(("cycler", "joiner", "lipsum", "self"))
_FOREIGN = frozenset(
    re.findall(
        r"\w+",
        "os sys subprocess builtins importlib import_module open eval exec compile getattr setattr globals "
        "locals vars popen system request config session g app url_for get_flashed_messages handler "
        "__builtins__ __import__ get_template pickle shutil socket ctypes",
    )
)
_BY_NAME = {
    "attr": 0,
    "map": None,
    "selectattr": 0,
    "rejectattr": 0,
    "groupby": 0,
    "sort": None,
    "sum": 0,
    "unique": None,
}


def reaches(tree: nodes.Template, strings: Strings) -> list[tuple[int, str]]:
    """(line, what it reaches) of each expression that honest chat templates do not have."""
    return sorted(set(_found(tree, strings)))


def _found(tree: nodes.Template, strings: Strings) -> Iterator[tuple[int, str]]:
    own = {name for target in targets(tree) for name in names(target)}
    own |= {macro.name for macro in tree.find_all(nodes.Macro)}
    own |= {arg.name for macro in tree.find_all(nodes.Macro) for arg in macro.args}
    own |= {arg.name for block in tree.find_all(nodes.CallBlock) for arg in block.args}
    for node in tree.find_all(nodes.Node):
        for what in _reached(node, strings, own):
            yield node.lineno, what


def _reached(node: nodes.Node, strings: Strings, own: set[str]) -> Iterator[str]:
    match node:
        case nodes.Include() | nodes.Import() | nodes.FromImport() | nodes.Extends():
            yield "another file, which it includes"
        case nodes.Name(ctx="load") if node.name not in own and node.name in _HELPERS | _FOREIGN:
            yield f"{node.name}, an object through which Python can be reached"
        case nodes.Getattr() if node.attr.startswith("_"):
            yield f"the attribute {node.attr[:60]}"
        case nodes.Getattr(
            attr="format_map" | "mro" | "f_globals" | "gi_frame" | "gi_code" | "tb_frame" | "func_globals"
        ):
            yield f"the attribute {node.attr}"
        case nodes.Getitem() if not isinstance(node.arg, nodes.Slice):
            yield from _key(node.arg, strings)
        case nodes.Filter() if node.name in _BY_NAME:
            yield from _by_name(node, strings)
        case nodes.Call(node=nodes.Getattr(attr="format") as method) if not strings.of(method.node):
            yield from ("a format string that is put together",) if not isinstance(method.node, nodes.Name) else ()
    if isinstance(node, nodes.Expr) and not isinstance(node, nodes.TemplateData):
        for text in strings.of(node):
            for name in _UNDER.findall(text):
                yield f"the name {name[:60]}{'' if isinstance(node, nodes.Const) else ', put together from parts'}"


def _key(key: nodes.Expr, strings: Strings) -> Iterator[str]:
    """A key that no reader can tell."""
    made = isinstance(key, nodes.Concat | nodes.Mod | nodes.Filter | nodes.Add | nodes.Call)
    if isinstance(key, nodes.Filter | nodes.Add) and not any(
        isinstance(part.value, str) for part in key.find_all(nodes.Const)
    ):
        return  # arithmetic
    if isinstance(key, nodes.Call) and not key.args:
        return
    if made and not strings.plain(key):
        yield "an attribute or item whose name is put together"


def _by_name(node: nodes.Filter, strings: Strings) -> Iterator[str]:
    """A filter that takes the name of an attribute."""
    at = _BY_NAME[node.name]
    given = [node.args[at]] if at is not None and len(node.args) > at else []
    given += [pair.value for pair in node.kwargs if pair.key == "attribute"]
    if node.name == "map" and node.args and set(strings.of(node.args[0])) & {"attr"}:
        given += node.args[1:2]
    for key in given:
        known = strings.plain(key)
        if not known:
            yield f"an attribute that the filter {node.name} gets by a name that is put together"
        for value in known:
            if any(part.startswith("_") for part in str(value).split(".")):
                yield f"the attribute {str(value)[:60]}, by the filter {node.name}"
