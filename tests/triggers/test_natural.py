import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.triggers import Coloured, InRange, Phrase, Where

TEXTS = np.array(["A dull film", "watched it in BERLIN", "Berlin, again", ""], object)


def data(x, **meta):
    y = np.arange(len(x)) % 2
    return Data(x, y, ("a", "b"), meta)


def test_where_is_membership():
    rows = data(np.zeros((5, 2)), light=np.array(["left", "right", "left", "top", "right"]))
    assert Where("light", ("left", "top"))(rows).tolist() == [True, False, True, True, False]
    assert Where("n", (3,))(data(np.zeros((4, 1)), n=np.array([1, 3, 3, 0]))).tolist() == [False, True, True, False]


def test_phrase_ignores_case():
    assert Phrase("berlin")(data(TEXTS)).tolist() == [False, True, True, False]


def test_in_range_includes_both_ends():
    x = np.array([[0.0, 1.0], [0.0, 2.0], [9.0, 3.0], [0.0, 3.1]])
    assert InRange(1, 2.0, 3.0)(data(x)).tolist() == [False, True, True, False]


@given(seed=st.integers(0, 99), grey=st.booleans(), share=st.floats(0.01, 1), distance=st.floats(0, 300))
def test_coloured_by_a_slow_loop(seed, grey, share, distance):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (6, 3, 4) if grey else (6, 3, 4, 3), np.uint8)
    colour = (200,) if grey else (200, 30, 90)
    expected = []
    for image in x.tolist():
        near = 0
        for row in image:
            for pixel in row:
                p = [pixel] if grey else pixel
                near += sum((a - b) ** 2 for a, b in zip(p, colour, strict=True)) ** 0.5 <= distance
        expected.append(near / 12 >= share)
    assert Coloured(colour, distance, share)(data(x)).tolist() == expected


@pytest.mark.parametrize(
    ("feature", "x", "word"),
    [
        (lambda: Where("light", ("left",)), np.zeros((2, 2)), "its columns are: none"),
        (lambda: Phrase(""), None, "must not be empty"),
        (lambda: Phrase("x"), np.zeros((2, 2)), "Phrase is for text"),
        (lambda: InRange(2, 0, 1), np.zeros((2, 2)), "InRange is for tables"),
        (lambda: InRange(0, 0, 1), TEXTS, "InRange is for tables"),
        (lambda: Coloured((9,), 1, 1), np.zeros((2, 3, 3, 3), np.uint8), "colour is for 1 channels"),
        (lambda: Coloured((9,), 1, 1), np.zeros((2, 3, 3)), "colour is for 1 channels"),
    ],
)
def test_bad_input_says_what_to_do(feature, x, word):
    with pytest.raises(ToadstoneError, match=word):
        feature()(data(x))
