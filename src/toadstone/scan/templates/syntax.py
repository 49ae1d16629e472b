"""Chat templates as trees, parsed as transformers parses them."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

MOST = 1 << 20
"""Characters of a template; the longest published ones have 30,000."""


class _Generation(Extension):
    """``{% generation %}``: marks what the model wrote, for training; prints its body."""

    tags = {"generation"}  # noqa: RUF012 (as Extension declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def parse(source: str) -> nodes.Template | str:
    """The tree of a template, or why there is none."""
    if len(source) > MOST:
        return "it is a template of more than a million characters"
    extensions: list[str | type[Extension]] = ["jinja2.ext.loopcontrols", "jinja2.ext.do", _Generation]
    try:
        tree = Environment(trim_blocks=True, lstrip_blocks=True, extensions=extensions).parse(source)
        _scope(tree)
    except TemplateError as error:
        return f"it is no template that Jinja can read ({str(error)[:120]})"
    except (RecursionError, MemoryError, ValueError, OverflowError):
        return "its template is nested too deeply"
    return tree


def targets(tree: nodes.Node) -> Iterator[nodes.Node]:
    """What ``set`` and ``for`` assign to."""
    yield from (node.target for node in tree.find_all(nodes.Assign))
    yield from (node.target for node in tree.find_all(nodes.AssignBlock))
    yield from (node.target for node in tree.find_all(nodes.For))


def _scope(tree: nodes.Template) -> None:
    """Call the variables of a macro "name@macro": they are not those of the template that have the same name."""
    for macro in tree.find_all(nodes.Macro):
        own = {name for target in targets(macro) for name in names(target)}
        own |= {arg.name for arg in macro.args}
        for name in macro.find_all(nodes.Name):
            if name.name in own:
                name.name += f"@{macro.name}"


def names(target: nodes.Node) -> Iterator[str]:
    """The variables that a target of ``set`` or ``for`` assigns; "space.key" for a namespace's."""
    if isinstance(target, nodes.Name):
        yield target.name
    elif isinstance(target, nodes.NSRef):
        yield f"{target.name}.{target.attr}"
    elif isinstance(target, nodes.Tuple | nodes.List):
        for item in target.items:
            yield from names(item)
