"""What is in changelog.d is what the release's tool collects."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]


def test_each_fragment_is_named_after_its_change_and_a_kind_of_change_and_says_something():
    kinds = [kind["directory"] for kind in SETTINGS["type"]]
    for path in (ROOT / SETTINGS["directory"]).glob("[!.]*"):
        slug, kind, suffix = path.name.split(".")
        assert slug, path
        assert kind in kinds, path
        assert suffix == "md", path
        assert path.read_text().strip(), path


def test_the_changelog_says_where_a_release_goes():
    assert (ROOT / SETTINGS["filename"]).read_text().count("<!-- towncrier release notes start -->") == 1
