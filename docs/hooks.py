"""Pages that are made from the code at build time, so that a new algorithm or gallery script needs no edit here."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import figures
from readme import STAGES

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
HIDDEN = ("cli",)  # has a page of its own
WHOLE = ("evaluation",)  # packages that name a few functions for short, and are shown module by module
LOG = logging.getLogger("mkdocs.hooks.toadstone")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the made pages to the navigation."""
    guide = next(part["Guide"] for part in config.nav if "Guide" in part)
    guide += ["attack-surface.md", "command-line.md"]
    config.nav += [
        {"Gallery": ["gallery/index.md", *(f"gallery/{path.stem}.md" for path in scripts())]},
        {"Papers": "papers.md"},
        {"API": [f"api/{name}.md" for name in packages()]},
        {"Project": ["contributing.md", "changelog.md"]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to the site."""
    made = {
        "command-line.md": command_line(),
        "papers.md": figures.page(),
        "attack-surface.md": attack_surface(),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
        "gallery/index.md": gallery(),
        **{f"gallery/{path.stem}.md": script_page(path) for path in scripts()},
        **{f"api/{name}.md": api_page(name, shown) for name, shown in packages().items()},
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the tables that are made in their places."""
    if page.file.src_uri == "detectors-grid.md":
        return markdown.replace("<!-- detectors grid -->", detectors_grid())
    if page.file.src_uri == "federated.md":
        return markdown.replace("<!-- federated table -->", federated_table())
    return markdown.replace("<!-- catalogue -->", catalogue()) if page.file.src_uri == "index.md" else markdown


class Doctests(griffe.Extension):
    """Sets the examples of a docstring as code: in Markdown, `>>>` would be a quotation."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Fence the examples of one docstring."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """``text`` with every run of lines from `>>>` to the next empty line in a code fence."""
    return re.sub(r"^>>> .*(?:\n(?!$).+)*", r"```pycon\n\g<0>\n```", text, flags=re.MULTILINE)


def catalogue() -> str:
    """The registered attacks and defenses, by stage."""
    from toadstone.registry import entries  # noqa: PLC0415 (a build of the site alone needs it)

    lines = ["| stage | attacks | defenses |", "| --- | --- | --- |"]
    for stage in STAGES:
        cells = [
            ", ".join(
                f"[{e.name}][{e.module}.{e.class_name}] ({e.contract})"
                for e in entries()
                if e.own and (e.stage, e.side) == (stage, side)
            )
            for side in ("attacks", "defenses")
        ]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)


def scripts() -> list[Path]:
    """The gallery's scripts."""
    return sorted((ROOT / "examples").glob("plot_*.py"))


def told(path: Path) -> tuple[str, str]:
    """Title and text of a script: the first line of its docstring, and the rest."""
    title, _, text = (ast.get_docstring(ast.parse(path.read_text())) or path.stem).partition("\n")
    return title, text.strip()


def picture(path: Path) -> str | None:
    """The file name of a script's figure in docs/gallery."""
    names = [f"{path.stem}{suffix}" for suffix in (".svg", ".png")]
    found = [name for name in names if (ROOT / "docs/gallery" / name).is_file()]
    if not found:
        LOG.warning("%s has no figure in docs/gallery: run it.", path.name)
    return found[0] if found else None


def gallery() -> str:
    """The gallery's index: a thumbnail and a title for each script."""
    cards = []
    for path in scripts():
        title, name = told(path)[0], picture(path)
        image = f"[![]({name})]({path.stem}.md)\n\n    " if name else ""
        cards.append(f"-   {image}[{title}]({path.stem}.md)\n")
    return "\n".join(["# Gallery\n", '<div class="grid cards" markdown>\n', *cards, "</div>\n"])


def script_page(path: Path) -> str:
    """A script's text, its figure and its source."""
    (title, text), name = told(path), picture(path)
    image = f"![{title}]({name})" if name else ""
    source = f'~~~~python title="examples/{path.name}"\n{path.read_text()}~~~~'
    return "\n\n".join([f"# {title}", text, image, source, ""])


def attack_surface() -> str:
    """What each attacker controls, knows and does at inference; and the defenses at the same stage."""
    from toadstone.registry import entries  # noqa: PLC0415 (a build of the site alone needs it)

    parts = [
        "---\nhide: [toc]\n---",
        "# Attack surface",
        "Who can do what: the threat model of each attack, by the stage of the pipeline at which it acts. "
        "`toadstone list --threat data-only` shows one kind of attacker, `toadstone describe NAME` a single card.",
    ]
    columns = ("inputs", "labels", "training", "weights", "data", "model")
    for stage in STAGES:
        here = [e for e in entries() if e.own and e.stage == stage]
        link = {e.name: f"[{e.name}][{e.module}.{e.class_name}]" for e in here}
        rows = [
            [
                link[e.name],
                *("●" if c in e.threat.controls + e.threat.knows else "" for c in columns),
                e.threat.inference,
            ]
            for e in here
            if e.threat
        ]
        if rows:
            head = [
                "attack",
                "controls inputs",
                "labels",
                "training",
                "weights",
                "knows data",
                "model",
                "at inference",
            ]
            table = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
            names = [link[e.name] for e in here if e.side == "defenses"]
            parts += [f"## {stage}", "\n".join(table), f"Defenses at this stage: {', '.join(names) or 'none yet'}."]
    return "\n\n".join(parts)


MEASURES = {  # of benchmarks/records/detectors_grid.json: title, text
    "auroc": ("Ranks", "AUROC: the chance that a poisoned row scores above a clean one; 0.5 is blind."),
    "tpr": ("Poison found", "Share of the poisoned rows that is flagged at a false-discovery rate of 5%."),
    "fpr": ("False alarms", "Share of the clean rows that is flagged, beside the poison."),
    "twin_fpr": ("False alarms in the clean twin", "Share of the rows flagged where none is poisoned."),
    "fdr": ("False discoveries", "Share of clean rows among the flagged, at a nominal 5%."),
    "asr": ("Attack success afterwards", "With the flagged rows removed and the model trained again; first, before."),
    "accuracy": ("Clean accuracy afterwards", "As above; first, before."),
    "seconds": ("Seconds", "Of wall time, of the detector on one thread of a machine that did other work too."),
}


def detectors_grid() -> str:
    """Attacks against detectors, a table a measure."""
    path = ROOT / "benchmarks/records/detectors_grid.json"
    cells = {k: v for k, v in json.loads(path.read_text()).items() if "/" in k}
    every = sorted({name for cell in cells.values() for name in cell} - {"before", "rows"})
    script = ast.get_docstring(ast.parse((ROOT / "benchmarks/detectors_grid.py").read_text())) or ""
    style = ".grid-table td, .grid-table th {padding: .2rem .35rem; font-size: .58rem; text-align: right} "
    style += ".grid-table td {white-space: nowrap; vertical-align: top}"
    parts = [f"<style>{style}</style>"]
    parts += ["One seed, the 95% interval over the rows below; a dash where a detector is not for the net or the data."]
    for measure, (title, text) in MEASURES.items():
        before = ["before"] if measure in ("asr", "accuracy") else []
        names = before + [n for n in every if any(measure in cell.get(n, {}) for cell in cells.values())]
        head = "".join(f"<th>{name}</th>" for name in ["attack", *names])
        rows = [
            f"<tr><th>{attack}</th>{''.join(_cell(cell.get(name, {}), measure) for name in names)}</tr>"
            for attack, cell in cells.items()
            if any(measure in cell.get(name, {}) for name in names)
        ]
        table = f'<table class="grid-table"><tr>{head}</tr>{"".join(rows)}</table>'
        parts += [f"## {title}", text, f'<div style="overflow-x: auto">{table}</div>']
    return "\n\n".join([*parts, "## How", f"`python benchmarks/detectors_grid.py`. {script.partition(chr(10))[2]}"])


def federated_table() -> str:
    """Accuracy by server rule and attack, a table a partition."""
    path = ROOT / "benchmarks/records/federated_table.json"
    cells = {tuple(k.split("/")): v for k, v in json.loads(path.read_text()).items() if "/" in k}
    partitions, rules, attacks = (list(dict.fromkeys(key[i] for key in cells)) for i in range(3))
    script = ast.get_docstring(ast.parse((ROOT / "benchmarks/federated_table.py").read_text())) or ""
    parts = []
    for partition in partitions:
        head = "".join(f"<th>{name}</th>" for name in ["rule", *attacks])
        rows = [
            f"<tr><th>{rule}</th>{''.join(_accuracy(cells[partition, rule, attack]) for attack in attacks)}</tr>"
            for rule in rules
        ]
        table = f'<table class="grid-table"><tr>{head}</tr>{"".join(rows)}</table>'
        parts += [f"### {partition}", f'<div style="overflow-x: auto">{table}</div>']
    style = (
        "<style>.grid-table td, .grid-table th {padding: .2rem .35rem; font-size: .58rem; text-align: right}</style>"
    )
    return "\n\n".join([style, *parts, f"`python benchmarks/federated_table.py`. {script.partition(chr(10))[2]}"])


def _accuracy(value: float | None) -> str:
    if value is None:
        return '<td title="the rule refused">&ndash;</td>'
    return f'<td style="background: rgba(213, 94, 0, {0.6 * (1 - value):.2f})">{100 * value:.1f}</td>'


def _cell(figures: dict[str, Any], measure: str) -> str:
    if measure not in figures:
        reason = figures.get("not_applicable") or figures.get("failed", "not measured")
        return f'<td title="{reason}">&ndash;</td>'
    if measure == "seconds":
        return f"<td>{figures[measure]:.1f}</td>"
    value, *interval = figures[measure] if isinstance(figures[measure], list) else [figures[measure]]
    shade = f"background: rgba(0, 114, 178, {0.45 * value:.2f})" if measure in ("auroc", "tpr") else ""
    under = f"<br><small>{interval[0]:.2f}&ndash;{interval[1]:.2f}</small>" if interval else ""
    return f'<td style="{shade}">{value:.2f}{under}</td>'


def packages() -> dict[str, list[str]]:
    """Package -> what its page shows: its public names, or all its modules where it names none."""
    found = {"toadstone": [f"toadstone.{path.stem}" for path in modules(SOURCE / "toadstone")]}
    for init in sorted((SOURCE / "toadstone").rglob("*/__init__.py")):
        name = ".".join(init.parent.relative_to(SOURCE).parts)
        if name.split(".")[1] not in HIDDEN:
            # The names of attacks and defenses stand on the pages of their stages, under their modules.
            names = [] if (init.parent / STAGES[0]).is_dir() or init.parent.name in WHOLE else public(init)
            found[name] = names or [f"{name}.{path.stem}" for path in modules(init.parent)]
    return {name: shown for name, shown in found.items() if shown}


def modules(folder: Path) -> list[Path]:
    """A package's public modules."""
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))


def public(init: Path) -> list[str]:
    """The full names that a package's `__all__` or its stub makes public."""
    return [f"{module}.{name}" for name, module in _public(init)]


def _public(init: Path) -> Iterator[tuple[str, str]]:
    package, stub = ".".join(init.parent.relative_to(SOURCE).parts), init.with_suffix(".pyi")
    tree = ast.parse((stub if stub.exists() else init).read_text())
    origins = {
        alias.name: f"{package}.{node.module}" if node.level else node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    if stub.exists():
        yield from origins.items()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            yield from ((name, origins.get(name) or package) for name in ast.literal_eval(node.value))


def api_page(name: str, shown: list[str]) -> str:
    """A package's docstring, and the reference of what it makes public."""
    init = SOURCE / Path(*name.split(".")) / "__init__.py"
    text = fenced(ast.get_docstring(ast.parse(init.read_text())) or "")
    return "\n\n".join([f"# {name}", text, *(f"::: {identifier}" for identifier in shown)])


def command_line() -> str:
    """Every command's help."""
    import typer  # noqa: PLC0415 (this page alone needs the command line)

    from toadstone.cli.app import app  # noqa: PLC0415

    parts = [
        "# Command line",
        "`toadstone --help` lists the commands, `toadstone COMMAND --help` says the same as this page. With `--json` a "
        "command prints one JSON object and nothing else. What you can mend is one line on standard error and exit "
        "status 2; 3 for `toadstone audit`, where 2 is a verdict. Output folders and files are new: an existing one is "
        "left alone and the command refuses; an audit of the same thing goes on in its folder.",
    ]
    for name, command in _commands(typer.main.get_command(app)):
        parts.append(f"## toadstone {name}\n\n{inspect.cleandoc(command.help)}")
        if not hasattr(command, "commands"):
            rows = [_parameter(p) for p in command.params]
            parts.append("\n".join(["| argument or option | what | default |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts)


def _commands(group: Any) -> Iterator[tuple[str, Any]]:
    """Every command of a group, and those of the groups in it, by the words one types."""
    for name, command in group.commands.items():
        yield name, command
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", each) for inner, each in _commands(command))


def _parameter(p: Any) -> str:
    names = ", ".join(f"`{o}`" for o in p.opts) if p.param_type_name == "option" else f"`{p.name.upper()}`"
    default = "" if p.default is None or p.default is False else f"`{p.default}`"
    return f"| {names} | {p.help} | {'required' if p.required else default} |"
