"""Each registered algorithm has a module, a mirrored test, a gallery script and an entry in docs/papers.toml."""

import tomllib
from pathlib import Path

import pytest

from toadstone.registry import entries

ROOT = Path(__file__).parents[1]
KEYS = {"name", "paper", "module", "test", "gallery", "claimed", "measured", "command"}
PAPERS = tomllib.loads((ROOT / "docs/papers.toml").read_text())["paper"]
ALGORITHMS = {e.name: e for e in entries() if e.side in ("attacks", "defenses")}


def test_the_same_names_are_registered_and_in_papers_toml():
    assert sorted(p["name"] for p in PAPERS) == sorted(ALGORITHMS)


@pytest.mark.parametrize("paper", PAPERS, ids=lambda p: p["name"])
def test_an_entry_is_complete_and_its_files_exist(paper):
    assert set(paper) == KEYS
    assert not [key for key in KEYS if not paper[key].strip()]
    assert not [paper[key] for key in ("module", "test", "gallery") if not (ROOT / paper[key]).is_file()]
    assert Path(paper["gallery"]).match("examples/plot_*.py")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda p: p["name"])
def test_an_entry_names_its_own_module_paper_and_mirrored_test(paper):
    found = ALGORITHMS[paper["name"]]
    module = Path("src", *found.cls.__module__.split(".")).with_suffix(".py")
    mirror = Path("tests", *module.parts[2:]).with_name(f"test_{module.name}")
    assert (paper["module"], paper["test"]) == (module.as_posix(), mirror.as_posix())
    assert paper["paper"] == found.paper
