import numpy as np
import pytest

from toadstone.convex.box import Box, ascend
from toadstone.core import Data
from toadstone.errors import ToadstoneError

DRAW = np.random.default_rng(0)


def test_pixels_go_to_the_unit_box_and_back():
    x = DRAW.integers(0, 256, (5, 4, 4), np.uint8)
    box = Box.of(Data(x, np.zeros(5, int), ("a",)))
    assert box.x.shape == (5, 16)
    assert (box.low == 0).all()
    assert (box.high == 1).all()
    assert np.array_equal(box.store(box.x), x)
    assert box.store(np.full((1, 16), 0.5)).max() == 128


def test_a_table_keeps_its_columns_ranges_unless_told():
    x = DRAW.normal(size=(6, 3))
    data = Data(x, np.zeros(6), ())
    box = Box.of(data)
    assert np.array_equal(box.low, x.min(0))
    assert np.array_equal(box.clip(np.full((1, 3), 9.0))[0], x.max(0))
    wide = Box.of(data, (-10.0, 10.0))
    assert np.array_equal(wide.high, [10, 10, 10])
    assert np.array_equal(box.store(box.x), x)
    whole = Box.of(Data(np.array([[0], [7]]), np.zeros(2), ()))
    assert whole.store(np.array([[3.6]])).tolist() == [[4]]


def test_the_range_of_whole_numbers_ends_at_such_as_the_type_can_hold():
    x = np.array([[-1, 0], [7, 3]], np.int8)
    data = Data(x, np.zeros(2), ())
    box = Box.of(data, (-1.7, 7.5))
    assert box.low.tolist() == [-1, -1]
    assert box.high.tolist() == [7, 7]
    wide = Box.of(data, (-1000.0, 1000.0))
    assert wide.store(wide.clip(np.array([[999.0, -999.0]]))).tolist() == [[127, -128]]
    for level in range(255):
        pixels = Box.of(Data(np.array([[level], [255]], np.uint8), np.zeros(2), ()), (level / 255, 1.5))
        assert (pixels.low * 255).round(6).tolist() == [level]
        assert pixels.high.tolist() == [1]


def test_random_rounding_keeps_the_mean_and_the_box():
    box = Box.of(Data(np.array([[-3, 0], [4, 9]]), np.zeros(2), ()))
    points = np.tile([[-2.3, 8.9], [-3.0, 9.0], [-0.5, 0.0]], (20000, 1))
    found = box.rounded(points, np.random.default_rng(0))
    assert (found == np.rint(found)).all()
    assert (np.abs(found - points) < 1).all()
    five_standard_errors = 5 * 0.5 / 20000**0.5
    assert np.abs(found.reshape(20000, 3, 2).mean(0) - points[:3]).max() < five_standard_errors
    assert np.array_equal(found, box.rounded(points, np.random.default_rng(0)))
    pixels = Box.of(Data(np.zeros((1, 2), np.uint8), np.zeros(1), ()))
    grey = pixels.rounded(np.full((100, 2), 0.3 / 255), np.random.default_rng(0))
    assert set(pixels.store(grey).ravel().tolist()) == {0, 1}
    assert np.allclose(pixels.store(grey) / 255, grey)
    floats = Box.of(Data(np.array([[0.0], [1.0]]), np.zeros(2), ()))
    assert floats.rounded(np.array([[0.3]]), np.random.default_rng(0)).tolist() == [[0.3]]


@pytest.mark.parametrize("within", [(1.0, 0.0), (0.0, 0.5), (float("nan"), 1.0)])
def test_a_range_that_does_not_hold_the_data(within):
    with pytest.raises(ToadstoneError, match="range that all numbers"):
        Box.of(Data(np.array([[0.0], [0.9]]), np.zeros(2), ()), within)


def test_text():
    with pytest.raises(ToadstoneError, match="text"):
        Box.of(Data(np.array(["a"], object), np.zeros(1, int), ("a",)))


def parabola(best):
    return (lambda p: (-float(((p - best) ** 2).sum()), p)), (lambda p: 2 * (best - p))


def test_ascent_finds_the_top_of_a_parabola_within_the_box():
    best = np.array([[0.3, 5.0], [-2.0, 0.6]])
    points, path = ascend(*parabola(best), np.full((2, 2), 0.5), (np.zeros(2), np.ones(2)), 100)
    assert np.allclose(points, np.clip(best, 0, 1), atol=5e-3)
    assert (np.diff(path) > 0).all()
    assert path[-1] == -float(((points - best) ** 2).sum())


def test_a_flat_start_stays_and_few_steps_are_kept_to():
    flat = ascend(lambda p: (0.0, p), np.zeros_like, np.ones((1, 2)), (np.zeros(2), np.ones(2)), 10)
    assert flat[0].tolist() == [[1, 1]]
    assert flat[1] == [0.0]
    best = np.array([[0.31, 0.77]])
    assert len(ascend(*parabola(best), np.zeros((1, 2)), (np.zeros(2), np.ones(2)), 3)[1]) <= 4
