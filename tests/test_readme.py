"""The README's list of attacks and defenses is what the registry holds, and its links lead somewhere."""

import re

import pytest

import readme


def test_the_readme_is_up_to_date():
    text = readme.README.read_text()
    assert readme.renewed(text) == text, "The README's list is out of date: run `python docs/readme.py`."


def test_every_link_leads_to_a_file_or_folder():
    links = re.findall(r"\]\((?!http)(.*?)\)", readme.README.read_text())
    assert not [link for link in links if not (readme.README.parent / link).exists()]


def test_a_missing_comment_is_an_error():
    with pytest.raises(ValueError, match=r"README\.md should hold"):
        readme.renewed("# A readme without the comments")
