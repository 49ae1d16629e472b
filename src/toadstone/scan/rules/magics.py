"""What IPython's magics do: the Python that they run, the shell text, the files, or that this cannot be read."""

from __future__ import annotations

import re
import shlex
import string
from dataclasses import dataclass, field
from itertools import pairwise

from toadstone.scan.rules.ipython import is_python, python_of

_TIMED = {  # magics whose line, and cell, is Python -> their options, as getopt writes them
    "time": "",
    "timeit": "n:r:tcp:qov:",
    "prun": "D:l:rs:T:q",
    "debug": "b:",
    "memit": "r:t:i:co",
    "lprun": "rsf:m:D:T:zu:",
    "mprun": "rf:T:c",
}
_NO_PYTHON = frozenset(
    {"aimport", "autoawait", "autocall", "automagic", "autoreload", "autosave", "bookmark", "cd", "clear"}
    | {"code_wrap", "colors", "connect_info", "dhist", "dirs", "doctest_mode", "env", "gui", "hist", "history"}
    | {"killbgscripts", "less", "logoff", "logon", "logstart", "logstate", "logstop", "lsmagic", "magic", "man"}
    | {"matplotlib", "more", "notebook", "page", "pdb", "pdef", "pdoc", "pfile", "pinfo", "pinfo2", "popd"}
    | {"pprint", "precision", "psearch", "psource", "pushd", "pwd", "pycat", "pylab", "qtconsole", "quickref"}
    | {"reset", "reset_selective", "save", "set_env", "store", "subplots", "tb", "tensorboard"}
    | {"tensorflow_version", "unalias", "unload_ext", "watermark", "who", "who_ls", "whos", "xdel", "xmode"}
)
_COMMANDS = frozenset(
    {"cat", "conda", "cp", "ldir", "lf", "lk", "ll", "ls", "lx", "mamba", "micromamba", "mkdir", "mv", "pip"}
    | {"rm", "rmdir", "uv"}
)
_SHELLS = frozenset({"!", "sx", "system", "sc", "bash", "sh", "zsh", "ksh", "dash", "cmd"})
_PYTHONS = re.compile(r"(.*/)?(python|pypy)[\d.]*(\.exe)?|cython")
_PAGES = frozenset({"html", "HTML", "svg", "SVG"})
_TEXTS = frozenset({"latex", "markdown"})
_ACTIVE = re.compile(r"<\s*(script|iframe|object|embed)|\bon\w+\s*=|javascript:", re.IGNORECASE)
_SERVER = re.compile(r"(https?|ftp)://", re.IGNORECASE)


@dataclass
class Meaning:
    """What a magic does; numbers count lines from that of the magic.

    ``python``: what IPython runs. ``shell``: what a shell is given. ``runs``: files that run as well. ``hits``: rules
    that it breaks by itself, with a sentence. ``unread``: why it could not be read.
    """

    python: list[tuple[int, str]] = field(default_factory=list)
    shell: list[tuple[int, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    hits: list[tuple[str, str]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def is_magic(name: str) -> bool:
    """Whether a line may begin with it."""
    return name in _TIMED or name in _NO_PYTHON or name in _COMMANDS or name in _SPECIAL


def line_magic(name: str, line: str) -> Meaning:
    """What `%name line` does."""
    told = Meaning()
    if name in _TIMED:
        options, statement = _options(line, _TIMED[name])
        told.python += [(0, python_of(options.get("f", ""), is_magic)), (0, python_of(statement, is_magic))]
        return told
    told.python += [(0, each) for each in expanded(line)]
    if name in ("sx", "system", "sc"):
        told.shell.append((0, line))
    elif name in _COMMANDS:
        told.shell.append((0, f"{name} {line}"))
    elif name in _SPECIAL:
        _special(name, line.strip(), told)
    elif name not in _NO_PYTHON:
        told.unread.append(f"what the magic %{name} does is not known")
    return told


_SPECIAL = frozenset(["alias", "config", "load", "load_ext", "loadpy", "reload_ext", "run"])


def _special(name: str, line: str, told: Meaning) -> None:
    if name == "alias":
        told.shell.append((0, line))
    elif name == "config" and "=" in line:
        told.python.append((0, line))
    elif name in ("load_ext", "reload_ext"):
        told.python.append((0, f"import {line}"))
    elif name in ("load", "loadpy"):
        source = _options(line, "yns:r:")[1]
        if _SERVER.search(source):
            told.hits.append(("remote-code", f"%{name} takes code from a server into the cell."))
        elif source:
            told.runs.append(source.split()[-1].strip("'\""))
    elif name == "run":
        options, rest = _options(line, "nidtN:b:pD:l:rs:T:em:G")
        script = options.get("m", "").replace(".", "/") or "".join(_words(rest)[:1])
        if _SERVER.search(script):
            told.hits.append(("remote-code", "%run runs code from a server."))
        elif "{" in script or "$" in script:
            told.hits.append(("dynamic-code", "%run runs a file whose name is computed."))
        else:
            told.runs.append(script)


def cell_magic(name: str, line: str, body: str) -> Meaning:
    """What `%%name line` does with the rest of the cell."""
    told = Meaning()
    program = [word for word in _words(line) if not word.startswith("--")][:1] if name == "script" else [name]
    kind = program[0] if program else name
    if name in _TIMED:
        told.python += [*line_magic(name, line).python, (1, python_of(body, is_magic))]
        return told
    told.python += [(0, each) for each in expanded(line)]
    if name == "capture":
        told.python.append((1, python_of(body, is_magic)))
    elif _PYTHONS.fullmatch(kind) or kind.startswith("cython"):
        told.python.append((1, body))
    elif kind.rpartition("/")[2] in _SHELLS:
        told.shell += [(0, line), *_commands(body)]
        told.python += [(0, each) for each in expanded(body)] if name in ("!", "sx", "system") else []
    elif name in ("writefile", "file"):
        _written(line, body, told)
    elif name in _PAGES:
        told.unread += ["it holds a web page with a script"] if _ACTIVE.search(body) else []
    elif name not in _TEXTS:
        told.unread.append(f"what the magic %%{name} does with the cell is not known")
    return told


def _written(line: str, body: str, told: Meaning) -> None:
    target = line.strip().strip("'\"").lower()
    if target.endswith((".py", ".pyw")):
        told.python.append((1, body))
    elif target.endswith(".ipy"):
        told.python.append((1, python_of(body, is_magic)))
    else:
        told.shell += _commands(body) if target.endswith((".sh", ".bash", ".zsh")) else []


def expanded(line: str) -> list[str]:
    """The expressions in braces, which IPython computes before a magic or a shell sees the line."""
    found = []
    try:
        for _, name, spec, _ in string.Formatter().parse(line):
            found += [name, *expanded(spec or "")] if name else []
    except ValueError:  # braces that are not in pairs: IPython leaves the line as it is
        return []
    return [name.strip() for name in found if is_python(f"({name})")]


def python_in_shell(command: str) -> list[str]:
    """The scripts that a command hands to Python, as in `python -c "..."`."""
    words = _words(command)
    if not any(_PYTHONS.fullmatch(word) for word in words):
        return []
    return [script for flag, script in pairwise(words) if flag == "-c" and is_python(script)]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _options(line: str, known: str) -> tuple[dict[str, str], str]:
    """The options at the front of a line, those with a colon in ``known`` with their value; and what follows them."""
    found: dict[str, str] = {}
    rest = line.strip()
    while option := re.match(r"--(?:no-raise-error|breakpoint\s+\S+)(?:\s+|$)|-([A-Za-z])", rest):
        letter, rest = option[1], rest[option.end() :]
        if letter is None:
            continue
        if letter not in known:
            return found, line.strip()
        if f"{letter}:" in known:
            found[letter], _, rest = rest.lstrip().partition(" ")
        elif rest[:1].strip():  # flags may stand together, as in -qo
            rest = f"-{rest}"
        rest = rest.lstrip()
    return found, rest


def _commands(body: str) -> list[tuple[int, str]]:
    """(number from 1, command) of the lines of a shell script; those that go on are one."""
    found: list[tuple[int, str]] = []
    goes_on = False
    for number, line in enumerate(body.split("\n"), start=1):
        if goes_on or line.lstrip().startswith("|"):
            at, before = found.pop() if found else (number, "")
            found.append((at, f"{before.rstrip().removesuffix(chr(92))} {line.strip()}"))
        else:
            found.append((number, line))
        goes_on = line.rstrip().endswith(("\\", "|"))
    return found
