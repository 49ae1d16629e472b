"""Render one template with many dialogues, in Jinja's sandbox and in a process of its own that is cut short.

Run as a script: a JSON object on standard input, ``{"source": str, "runs": [{"messages": [...], "year": int}]}``; one
on standard output, ``{"texts": [str or null], "reached": [str]}``. It imports Jinja alone.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, ClassVar

from jinja2 import TemplateError, Undefined
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MOST = 1 << 18
_MEMORY = 1 << 30


class _Generation(Extension):
    tags = {"generation"}  # noqa: RUF012 (as Extension declares it)

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Watched(ImmutableSandboxedEnvironment):
    """A sandbox that remembers what it refused."""

    intercepted_binops = frozenset(("*", "**", "%"))
    reached: ClassVar[set[str]] = set()

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        self.reached.add(str(attribute)[:80])
        return super().unsafe_undefined(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        big = operator == "*" and isinstance(left, str | list | tuple) and isinstance(right, int)
        if operator == "**" or (big and len(left) * right > _MOST) or (operator == "%" and isinstance(left, str)):
            raise OverflowError("too long")
        return super().call_binop(context, operator, left, right)


def _refuse(text: object = "") -> str:
    raise TemplateError(str(text)[:200])


def _json(value: object, *_: object, **__: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _text(template: Any, run: dict[str, Any]) -> str | None:
    """What a dialogue becomes; None where the template refuses it."""
    now = datetime(run.get("year", 2024), 7, 26, 12, 0)
    given = {
        "messages": run["messages"],
        "add_generation_prompt": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "tools": run.get("tools"),
        "documents": [{"title": "t", "text": "d"}] if run.get("tools") else None,
        "strftime_now": now.strftime,
    }
    parts: list[str] = []
    size = 0
    try:
        for part in template.generate(given):
            parts.append(part)
            size += len(part)
            if size > _MOST:
                return None
    except Exception:  # a stranger's program: whatever it raises, it refuses the dialogue
        return None
    return "".join(parts)


def main() -> None:
    """Read, render, write."""
    try:
        import resource  # noqa: PLC0415 (it is not on every system)

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):  # no such limit on this system: the time limit stands
        pass
    asked = json.load(sys.stdin)
    extensions: list[str | type[Extension]] = ["jinja2.ext.loopcontrols", "jinja2.ext.do", _Generation]
    sandbox = _Watched(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    sandbox.filters["tojson"] = _json
    sandbox.globals.update(raise_exception=_refuse)
    try:
        template = sandbox.from_string(asked["source"])
    except (TemplateError, RecursionError, SyntaxError, OverflowError, ValueError):
        texts: list[str | None] = [None] * len(asked["runs"])
    else:
        texts = [_text(template, run) for run in asked["runs"]]
    json.dump({"texts": texts, "reached": sorted(_Watched.reached)[:20]}, sys.stdout)


if __name__ == "__main__":
    main()
