import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.errors import ToadstoneError
from toadstone.triggers import Patch

LOCATIONS = ["top-left", "top-right", "bottom-left", "bottom-right", "center"]


def slow(x, trigger):
    """Pixel by pixel, from the words of the docstring."""
    size, location, shape, margin = trigger.size, trigger.location, trigger.shape, trigger.margin
    out = x.copy()
    h, w = x.shape[1:3]
    for i in range(len(x)):
        for a in range(size):
            for b in range(size):
                middle = {size // 2} if size % 2 else {size // 2 - 1, size // 2}
                if shape == "cross" and a not in middle and b not in middle:
                    continue
                if location == "center":
                    r, c = (h - size) // 2 + a, (w - size) // 2 + b
                elif not isinstance(location, str):
                    r, c = location[0] + a, location[1] + b
                else:
                    r = margin + a if location.startswith("top") else h - size - margin + a
                    c = margin + b if location.endswith("left") else w - size - margin + b
                dark = shape == "checkerboard" and (a % 2) != (b % 2)
                out[i, r, c] = 0 if dark else trigger.value
    return out


@settings(deadline=None)
@given(
    size=st.integers(1, 5),
    location=st.sampled_from([*LOCATIONS, (0, 2), (3, 1)]),
    shape=st.sampled_from(["square", "checkerboard", "cross"]),
    room=st.tuples(st.integers(4, 7), st.integers(4, 7)),
    draw=st.tuples(st.integers(0, 2), st.integers(0, 99)),
)
def test_against_the_slow_loop(size, location, shape, room, draw):
    margin = draw[0] if location in LOCATIONS[:4] else 0
    rng = np.random.default_rng(draw[1])
    channels = [(), (1,), (3,)][draw[1] % 3]
    x = rng.integers(0, 256, (3, size + room[0], size + room[1], *channels), np.uint8)
    value = tuple(int(v) for v in rng.integers(0, 256, 3)) if channels == (3,) else int(rng.integers(256))
    trigger = Patch(size, location, value, shape, margin)
    want = slow(x, trigger)
    assert np.array_equal(trigger(x, seed=0), want)
    changed = (trigger(x, seed=0) != x).reshape(*x.shape[:3], -1).any((0, 3))
    assert not (changed & ~trigger.footprint(x.shape[1:])).any()


def test_default_is_the_white_3x3_square_at_the_bottom_right():
    out = Patch()(np.zeros((1, 28, 28), np.uint8), seed=0)
    want = np.zeros((28, 28), np.uint8)
    want[25:28, 25:28] = 255
    assert np.array_equal(out[0], want)


def test_footprint_counts_the_pixels_set():
    assert Patch(5, shape="cross").footprint((9, 9)).sum() == 9
    assert Patch(4, shape="cross").footprint((9, 9, 3)).sum() == 12
    assert Patch(4, shape="checkerboard").footprint((9, 9)).sum() == 16


def test_pattern_takes_the_place_of_size_value_and_shape():
    pattern = [[1, 2, 3], [4, 5, 6]]
    out = Patch(9, "top-right", 77, "cross", pattern=pattern)(np.zeros((1, 4, 5), np.uint8), seed=0)
    assert out[0].tolist() == [[0, 0, 1, 2, 3], [0, 0, 4, 5, 6], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert Patch(pattern=np.array(pattern)) == Patch(pattern=pattern)


def test_grey_pattern_on_colour_fills_every_channel():
    out = Patch(location="top-left", pattern=[[7, 8]])(np.zeros((1, 3, 3, 3), np.uint8), seed=0)
    assert out[0, 0].tolist() == [[7, 7, 7], [8, 8, 8], [0, 0, 0]]


@pytest.mark.parametrize(
    ("trigger", "shape", "word"),
    [
        (Patch(5), (2, 4, 9), "fit"),
        (Patch(5), (2, 9, 4, 3), "fit"),
        (Patch(3, margin=2), (2, 4, 9), "fit"),
        (Patch(3, (0, 7)), (2, 9, 9), "fit"),
        (Patch(value=(1, 2, 3)), (2, 9, 9), "channels"),
        (Patch(value=(1, 2, 3)), (2, 9, 9, 1), "channels"),
        (Patch(pattern=np.zeros((2, 2, 4), int)), (2, 9, 9, 3), "channels"),
    ],
)
def test_what_does_not_fit_is_turned_away(trigger, shape, word):
    with pytest.raises(ToadstoneError, match=word):
        trigger.check(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "fields",
    [
        {"location": "center", "margin": 1},
        {"pattern": [[0, 300]]},
        {"pattern": [[0.5]]},
        {"pattern": [[1, 2], [3]]},
        {"pattern": [1, 2]},
    ],
)
def test_bad_fields(fields):
    with pytest.raises(ToadstoneError):
        Patch(**fields)
