import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from toadstone.errors import ToadstoneError
from toadstone.triggers import InsertWords

TEXTS = st.lists(st.text("ab \n\t.", max_size=12), min_size=1, max_size=5)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["start", "end", "random"]), st.integers(0, 99))
def test_against_lists_of_words(texts, position, seed):
    words = ("xx", "yy")
    out = InsertWords(words, position)(np.array(texts, object), seed=seed)
    for text, new in zip(texts, out, strict=True):
        old = text.split()
        allowed = {"start": [0], "end": [len(old)], "random": range(len(old) + 1)}[position]
        assert new.split() in [[*old[:k], *words, *old[k:]] for k in allowed]
        at = new.index("xx yy")
        kept = new[:at] + new[at + 5 :]
        assert sorted(kept) == sorted(text + " " * (len(new) - 5 - len(text)))
        assert len(new) - 5 - len(text) <= 1  # nothing but one space beside the words


def test_random_gaps_are_uniform_and_drawn_for_each_text():
    texts = np.array([f"row{i} b c" for i in range(800)], object)
    out = InsertWords(("xx",), "random")(texts, seed=0)
    assert chisquare(np.bincount([t.split().index("xx") for t in out], minlength=4)).pvalue > 1e-4
    assert not np.array_equal(out, InsertWords(("xx",), "random")(texts, seed=1))


def test_other_rows_are_turned_away():
    with pytest.raises(ToadstoneError, match="str"):
        InsertWords().check(np.array(["a", 3], object))


@pytest.mark.parametrize("fields", [((), "start"), (("a b",), "start"), (("",), "start"), (("cf",), "middle")])
def test_bad_fields(fields):
    with pytest.raises(ToadstoneError):
        InsertWords(*fields)


def test_a_bare_string_is_not_taken_for_its_letters():
    with pytest.raises((ToadstoneError, TypeError)):  # TypeError where the types are checked at run time
        InsertWords("cf")
