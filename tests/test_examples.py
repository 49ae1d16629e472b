"""Each gallery script is short, says what it shows, draws in its quick mode and has its figure in docs/gallery."""

import ast
import importlib.util
from pathlib import Path

import altair as alt
import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("plot_*.py"))
each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)


def imported(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(spec):
    """How many rows of data a Vega-Lite specification holds, at any depth."""
    if isinstance(spec, list):
        return sum(map(rows_of, spec))
    if not isinstance(spec, dict):
        return 0
    data = spec.get("data")
    inline = len(data["values"]) if isinstance(data, dict) and "values" in data else 0
    named = sum(map(len, spec.get("datasets", {}).values()))
    return inline + named + sum(rows_of(part) for key, part in spec.items() if key not in ("data", "datasets"))


@each_script
def test_a_script_is_under_80_lines_and_has_a_title_and_a_text(path):
    title, blank, *text = ast.get_docstring(ast.parse(path.read_text())).splitlines()
    assert len(path.read_text().splitlines()) < 80
    assert title
    assert not title.endswith(".")
    assert not blank.strip()
    assert text


@each_script
@pytest.mark.slow
def test_a_script_draws_its_data(path, monkeypatch):
    monkeypatch.delenv("TOADSTONE_DATA", raising=False)
    chart = imported(path).figure(quick=True)
    assert isinstance(chart, alt.TopLevelMixin)
    assert rows_of(chart.to_dict(validate=True)) > 1


@each_script
def test_the_figure_of_a_script_is_there(path):
    assert [s for s in (".svg", ".png") if (ROOT / "docs/gallery" / f"{path.stem}{s}").is_file()]
