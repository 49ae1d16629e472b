import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.errors import ToadstoneError
from toadstone.triggers import Accessory, Blend, Chain, Distributed, InsertWords, Patch


@settings(deadline=None)
@given(
    trigger=st.sampled_from(
        [Patch(4), Patch(6, "center", shape="cross"), Patch(5, (1, 2), (1, 2, 3)), Blend(0.3), Accessory()]
    ),
    parts=st.sampled_from([2, 3, 4, 6]),
    h=st.integers(16, 30),
    w=st.integers(16, 30),
)
def test_the_pieces_together_are_the_whole(trigger, parts, h, w):
    x = np.random.default_rng(h * w).integers(0, 256, (2, h, w, 3), np.uint8)
    split = Distributed(trigger, parts)
    masks = np.array([p.footprint(x.shape[1:]) for p in split.pieces()])
    assert masks.any((1, 2)).all()
    assert masks.sum(0).max() == 1  # no pixel in two
    assert np.array_equal(masks.any(0), trigger.footprint(x.shape[1:]))
    whole = trigger(x, seed=0)
    assert np.array_equal(Chain(split.pieces())(x, seed=0), whole)
    assert np.array_equal(split(x, seed=0), whole)
    for piece, mask in zip(split.pieces(), masks, strict=True):
        out = piece(x, seed=0)
        assert np.array_equal(out[:, mask], whole[:, mask])
        assert np.array_equal(out[:, ~mask], x[:, ~mask])


def test_four_parts_are_the_quadrants():
    masks = [p.footprint((10, 10)) for p in Distributed(Patch(4, (2, 5)), 4).pieces()]
    for mask, (top, left) in zip(masks, [(2, 5), (2, 7), (4, 5), (4, 7)], strict=True):
        want = np.zeros((10, 10), bool)
        want[top : top + 2, left : left + 2] = True
        assert np.array_equal(mask, want)


def test_two_and_six_parts():
    assert [p.footprint((8, 8)).sum() for p in Distributed(Patch(4), 2).pieces()] == [8, 8]
    assert [p.footprint((8, 8)).sum() for p in Distributed(Patch(6), 6).pieces()] == [6] * 6


def test_too_small_to_cut():
    with pytest.raises(ToadstoneError, match="too small"):
        Distributed(Patch(1), 4).check(np.zeros((1, 8, 8), np.uint8))


@pytest.mark.parametrize(
    "fields",
    [(Patch(), 1, None), (Patch(), 4, 4), (Patch(), 4, -1)],
)
def test_bad_fields(fields):
    with pytest.raises(ToadstoneError):
        Distributed(*fields)


def test_a_trigger_without_a_place_is_turned_away():
    with pytest.raises(ToadstoneError, match="footprint"):
        Distributed(InsertWords())
