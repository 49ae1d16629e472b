import numpy as np
import pytest
from scipy.stats import chisquare

from toadstone.errors import ToadstoneError
from toadstone.triggers import Dynamic, Patch


def found(out):
    """Top left corner of the only non-zero box of each image, by looking at every pixel."""
    corners = []
    for image in out:
        lit = [(r, c) for r in range(image.shape[0]) for c in range(image.shape[1]) if image[r, c].any()]
        corners.append((min(r for r, _ in lit), min(c for _, c in lit)))
        assert len(lit) == 4
    return np.array(corners)


def test_one_whole_patch_an_image_at_any_place():
    n = 1200
    corners = found(Dynamic(Patch(2))(np.zeros((n, 5, 4), np.uint8), seed=0))
    counts = np.zeros((4, 3), int)
    for r, c in corners:
        counts[r, c] += 1
    assert counts.sum() == n
    assert chisquare(counts.ravel()).pvalue > 1e-4


def test_only_the_locations_given():
    places = ((0, 0), (3, 2), (1, 1))
    corners = found(Dynamic(Patch(2), places)(np.zeros((60, 5, 4), np.uint8), seed=0))
    assert {(int(r), int(c)) for r, c in corners} == set(places)


def test_a_row_gets_its_draw_by_position():
    x = np.random.default_rng(0).integers(0, 256, (30, 9, 9, 3), np.uint8)
    trigger = Dynamic(Patch(3), random_pattern=True)
    whole = trigger(x, seed=1)
    for m in range(1, 30):
        assert np.array_equal(trigger(x[:m], seed=1), whole[:m])
    assert not np.array_equal(trigger(x, seed=2), whole)


def test_pixels_outside_are_kept_and_a_cross_leaves_its_corners():
    x = np.random.default_rng(0).integers(1, 255, (20, 9, 9), np.uint8)
    out = Dynamic(Patch(3, shape="cross"))(x, seed=0)
    assert ((out != x).sum((1, 2)) == 5).all()
    assert (out[out != x] == 255).all()


def test_random_patterns_are_uniform():
    out = Dynamic(Patch(4), ((0, 0),), random_pattern=True)(np.zeros((500, 4, 4, 3), np.uint8), seed=3)
    assert chisquare(np.bincount(out.ravel(), minlength=256)).pvalue > 1e-4
    assert len(np.unique(out.reshape(500, -1), axis=0)) == 500


@pytest.mark.parametrize("trigger", [Dynamic(Patch(5)), Dynamic(Patch(2), ((0, 0), (3, 0)))])
def test_what_does_not_fit_is_turned_away(trigger):
    with pytest.raises(ToadstoneError, match="fit"):
        trigger.check(np.zeros((1, 4, 9), np.uint8))


@pytest.mark.parametrize("locations", ["corner", (), ((0, -1),)])
def test_bad_locations(locations):
    with pytest.raises(ToadstoneError, match="locations"):
        Dynamic(Patch(), locations)
