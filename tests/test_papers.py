"""Each registered algorithm has a module, a mirrored test, a gallery script and a file in docs/papers.

Numbers that a record holds are read from it, and shown as they stand there.
"""

import json
import re
from pathlib import Path

import pytest

import figures
from toadstone.registry import entries

ROOT = Path(__file__).parents[1]
KEYS = {"paper", "module", "gallery", "command", "figures"}
WORDS = {"claim", "note"}
FIGURE = {"what", "unit", "claimed", "remark", "measured", "twin", "record", "key", "twin_key", "command"}
PAPERS = figures.papers()
ALGORITHMS = {e.name: e for e in entries() if e.own and e.side in ("attacks", "defenses")}
READ = [(name, f, key) for name, p in PAPERS.items() for f in p["figures"] for key in ("key", "twin_key") if key in f]


def test_the_same_names_are_registered_and_in_the_folder():
    assert sorted(PAPERS) == sorted(ALGORITHMS)


@pytest.mark.parametrize("name", PAPERS)
def test_a_file_is_complete_and_the_files_it_names_exist(name):
    paper = PAPERS[name]
    assert KEYS <= set(paper) <= KEYS | WORDS
    assert not [key for key in set(paper) - {"figures"} if not paper[key].strip()]
    assert not [paper[key] for key in ("module", "gallery") if not (ROOT / paper[key]).is_file()]
    assert Path(paper["gallery"]).match("examples/plot_*.py")


@pytest.mark.parametrize("name", PAPERS)
def test_a_file_names_its_own_module_and_paper_and_the_test_is_mirrored(name):
    found = ALGORITHMS[name]
    module = Path("src", *found.module.split(".")).with_suffix(".py")
    mirror = Path("tests", *module.parts[2:]).with_name(f"test_{module.name}")
    assert (PAPERS[name]["module"], PAPERS[name]["paper"]) == (module.as_posix(), found.paper)
    assert (ROOT / mirror).is_file()


@pytest.mark.parametrize("name", PAPERS)
def test_a_figure_has_a_number_and_says_where_it_is_from(name):
    for figure in PAPERS[name]["figures"]:
        assert {"what"} <= set(figure) <= FIGURE, figure
        assert {"claimed", "measured", "key"} & set(figure), figure
        assert ("record" in figure) == bool({"key", "twin_key"} & set(figure)), figure
        assert not {"key", "measured"} <= set(figure), figure
        assert not {"twin_key", "twin"} <= set(figure), figure
        assert figures.measured(figure) or not figures.twin(figure), figure
        assert "|" not in figure["what"] + figure.get("remark", ""), figure  # it would end the cell of a table
        assert {len(figure[key]) for key in ("measured", "twin") if isinstance(figure.get(key), list)} <= {3}, figure
    what = [figure["what"] for figure in PAPERS[name]["figures"]]
    assert len(set(what)) == len(what)


def flat(value: object, path: str = "") -> dict[str, object]:
    """Every number of a record, by the dotted path to it."""
    if not isinstance(value, dict):
        return {path: value}
    return {at: v for key, inner in value.items() for at, v in flat(inner, f"{path}.{key}" if path else key).items()}


@pytest.mark.parametrize(("name", "figure", "key"), READ, ids=[f"{n}-{f['what']}-{k}" for n, f, k in READ])
def test_what_is_shown_is_the_number_in_the_record(name, figure, key):
    value = flat(json.loads((ROOT / figure["record"]).read_text()))[figure[key]]
    numbers = [float(v) for v in (value if isinstance(value, list) else [value])]
    if figure.get("unit") == "%":
        numbers = [min(max(100 * v, 0), 100) for v in numbers]
    numbers = numbers[:1] if len(set(numbers)) == 1 else numbers

    cell = (figures.measured if key == "key" else figures.twin)(figure)
    texts = re.findall(r"-?\d+(?:\.\d+)?", cell.removesuffix(figure.get("unit", "")))
    assert [float(text) for text in texts] == [
        pytest.approx(v, abs=0.5001 * 10 ** -len(text.partition(".")[2]))
        for text, v in zip(texts, numbers, strict=True)
    ]
    assert (name, figure["what"], cell) in [(row[0], row[1], row[3 if key == "key" else 4]) for row in figures.table()]


def test_the_page_has_a_row_for_every_figure():
    rows = [line for line in figures.page().splitlines() if line.startswith("| [")]
    assert len(rows) == sum(len(paper["figures"]) for paper in PAPERS.values())
    starts = [f"| [{name}](#{name}) | {what} | " for name, what, *_ in figures.table()]
    assert all(row.startswith(start) for row, start in zip(rows, starts, strict=True))


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        ({"claimed": 85, "unit": "%", "remark": "about"}, "85% (about)"),
        ({"claimed": [92, 93], "unit": "%"}, "92&ndash;93%"),
        ({"claimed": 6, "unit": "of 6"}, "6 of 6"),
        ({"claimed": 0.1}, "0.1"),
        ({}, ""),
    ],
)
def test_a_claim_is_shown_with_its_unit_and_remark(figure, shown):
    assert figures.claimed(figure) == shown


@pytest.mark.parametrize("key", ["a.b", "a.1.2", "a"])
def test_a_key_may_hold_dots(key):
    assert figures.look_up({"a": {"1.2": 3}, "a.b": 4}, key) == {"a.b": 4, "a.1.2": 3, "a": {"1.2": 3}}[key]


def test_a_key_that_leads_nowhere_is_an_error():
    with pytest.raises(KeyError, match=r"a\.2"):
        figures.look_up({"a": {"1": 3}}, "a.2")
