"""Cells as IPython reads them: its own syntax becomes the calls that it stands for, line for line.

The grammar is that of IPython's documentation ("IPython reference: system shell access, magics, help") and of its
input transformers: prompts and a common indent go; `%%name` on the first line takes the whole cell; else each logical
line that begins with `%`, `!`, `!!`, `?`, `??`, `,`, `;` or `/`, assigns `= %name` or `= !command`, or ends with `?`,
is a call. Inside of strings and brackets nothing is.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable

_PROMPTS = (
    (re.compile(r">>>( |$)"), re.compile(r"(>>>|\.\.\.)( |$)")),
    (re.compile(r"In \[\d+\]: "), re.compile(r"(In \[\d+\]: |\s*\.{3,}: ?)")),
)
_PIECE = re.compile(
    r"(?P<string>'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^\\'\n])*'|\"(?:\\.|[^\\\"\n])*\")"
    r"|(?P<comment>\#[^\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<joined>\\\n)|(?P<end>\n)"
    r"|(?P<operator>[=!<>:+\-*/%&|^@]+=|->)|(?P<equals>=)|(?P<other>[^'\"#()\[\]{}\\\n=!<>:+\-*/%&|^@]+|.)",
    re.DOTALL,
)
_HELP = re.compile(r"(%{0,2}(?!\d)[\w*]+(?:\.(?!\d)[\w*]+|\[-?\d+\])*)(\?\??)$")
_ASSIGNED = re.compile(r"!|%[ \t]*[^\W\d]")
_ESCAPES = ("%", "!", "?", ",", ";", "/")
_WORD = re.compile(r"[^\W\d]\w*")


def python_of(cell: str, known: Callable[[str], bool]) -> str:
    """The Python that IPython runs for a cell, each statement on its own line of the cell.

    ``known`` says which names are magics: a cell of one line that begins with one needs no `%` ("automagic").
    """
    text = _without_prompts(_without_indent(cell))
    blank = len(text) - len(text.lstrip("\n"))
    before, text = text[:blank], text[blank:]
    if text.startswith("%%") and not re.match(r"%%\w+\?", text):
        first, _, body = text.partition("\n")
        name, _, line = first[2:].rstrip().partition(" ")
        body += "\n" * (body[-1:] not in ("", "\n"))
        return f"{before}get_ipython().run_cell_magic({name!r}, {line!r}, {body!r})" + "\n" * text.count("\n")
    if len(text.splitlines()) == 1 and (word := _WORD.match(text)) and known(word[0]) and not is_python(text):
        text = "%" + text
    out, at = [before], 0
    while at < len(text):
        at, line = _logical_line(text, at)
        out.append(line)
    return "".join(out)


def is_python(text: str) -> bool:
    """Whether it can be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _without_indent(cell: str) -> str:
    lines = cell.replace("\r\n", "\n").split("\n")
    first = next((line for line in lines if line.strip()), "")
    space = first[: len(first) - len(first.lstrip())]
    return "\n".join(line.removeprefix(space) if line.strip() else "" for line in lines) if space else "\n".join(lines)


def _without_prompts(text: str) -> str:
    lines = text.split("\n")
    for initial, prompt in _PROMPTS:
        if any(initial.match(line) for line in [line for line in lines if line.strip()][:2]):
            lines = [prompt.sub("", line, count=1) if prompt.match(line) else line for line in lines]
    return "\n".join(lines)


def _logical_line(text: str, at: int) -> tuple[int, str]:
    """Where the line that begins at ``at`` ends, and what it becomes."""
    start = _past_blanks(text, at)
    end, assigned, asks = _read_line(text, at)
    line = text[at:end]
    if asks and (asked := _HELP.search(line.removesuffix("\n"))):
        return end, text[at:start] + _help(asked[1], asked[2]) + "\n" * line.count("\n")
    if text[start : start + 1] in _ESCAPES:
        end, command = _joined(text, start)
        return end, text[at:start] + _escaped(command) + "\n" * text.count("\n", at, end)
    if assigned is not None:
        end, command = _joined(text, assigned)
        call = _magic(command[1:]) if command[0] == "%" else f"get_ipython().getoutput({command[1:]!r})"
        return end, text[at:assigned] + call + "\n" * text.count("\n", at, end)
    return end, line


def _read_line(text: str, at: int) -> tuple[int, int | None, bool]:
    """(end, where a magic or command that it assigns begins, whether it ends in a question mark)."""
    depth, equals, assigned, last, here = 0, False, None, "", at
    while here < len(text) and (piece := _PIECE.match(text, here)):
        kind = piece.lastgroup or ""
        if not depth and not equals and kind == "equals":
            equals, value = True, _past_blanks(text, piece.end())
            assigned = value if _ASSIGNED.match(text, value) and text[at : piece.start()].strip() else None
        here = piece.end()
        depth += {"open": 1, "close": -1 if depth else 0}.get(kind, 0)
        if kind == "end" and not depth:
            break
        last = last if kind in ("end", "joined") else piece[0] if kind == "other" else ""
    return here, assigned, last.endswith("?")


def _past_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    return at


def _joined(text: str, at: int) -> tuple[int, str]:
    """A command that may go on after a backslash at the end of a line; where it ends, and the whole of it."""
    parts: list[str] = []
    while True:
        end = text.find("\n", at)
        part = text[at : len(text) if end < 0 else end]
        at = len(text) if end < 0 else end + 1
        if end < 0 or not part.endswith("\\"):
            return at, " ".join([*parts, part.rstrip()])
        parts.append(part.rstrip()[:-1])


def _escaped(command: str) -> str:
    """The call behind a line that begins with an escape."""
    if command[:2] in ("!!", "??"):
        escape, rest = command[:2], command[2:]
    else:
        escape, rest = command[:1], command[1:]
    name, _, line = rest.partition(" ")
    calls: dict[str, Callable[[], str]] = {
        "!": lambda: f"get_ipython().system({rest!r})",
        "!!": lambda: f"get_ipython().getoutput({rest!r})",
        "%": lambda: _magic(rest),
        "?": lambda: _help(rest, "?"),
        "??": lambda: _help(rest, "??"),
        ",": lambda: '{}("{}")'.format(name, '", "'.join(line.split())),
        ";": lambda: f'{name}("{line}")',
        "/": lambda: f"{name}({', '.join(line.split())})",
    }
    return calls[escape]()


def _magic(command: str) -> str:
    name, _, line = command.partition(" ")
    return f"get_ipython().run_line_magic({name!r}, {line!r})"


def _help(target: str, marks: str) -> str:
    if not target.strip():
        return "get_ipython().show_usage()"
    name = "pinfo2" if marks == "??" else "psearch" if "*" in target else "pinfo"
    return f"get_ipython().run_line_magic({name!r}, {target!r})"
