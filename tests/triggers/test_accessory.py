import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from toadstone.errors import ToadstoneError
from toadstone.triggers import Accessory
from toadstone.triggers.accessory import glasses


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(6, 12), st.integers(7, 12)),
    kind=st.sampled_from(["grey", "one", "rgb"]),
    place=st.tuples(st.integers(0, 3), st.integers(0, 2)),
    seed=st.integers(0, 99),
)
def test_against_the_slow_loop_at_its_own_size(size, kind, place, seed):
    (h, w), (top, left) = size, place
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (3, 4, 4))
    picture[..., 3] = rng.choice([0, 40, 255], (3, 4))
    x = rng.integers(0, 256, (2, h, w, *{"grey": (), "one": (1,), "rgb": (3,)}[kind]), np.uint8)
    trigger = Accessory(picture, top=(top + 0.5) / h, left=(left + 0.01) / w, width=4 / w)
    want = x.astype(float)
    for i in range(2):
        for a in range(3):
            for b in range(4):
                red, green, blue, alpha = (int(v) for v in picture[a, b])
                grey = 0.299 * red + 0.587 * green + 0.114 * blue
                worn = np.array([red, green, blue]) if kind == "rgb" else grey
                under = want[i, top + a, left + b]
                want[i, top + a, left + b] = (1 - alpha / 255) * under + alpha / 255 * worn
    out = trigger(x, seed=0)
    assert abs(out - want).max() <= 0.5 + 1e-9
    assert np.array_equal(trigger.footprint(x.shape[1:])[top : top + 3, left : left + 4], picture[..., 3] > 0)
    assert trigger.footprint(x.shape[1:]).sum() == (picture[..., 3] > 0).sum()


def test_against_pillows_own_compositing():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1, 60, 100, 3), np.uint8)
    worn = Image.new("RGBA", (100, 60))
    small = Image.fromarray(glasses()).resize((80, 27), Image.Resampling.BILINEAR)
    worn.paste(small, (10, 18))
    want = Image.alpha_composite(Image.fromarray(x[0]).convert("RGBA"), worn).convert("RGB")
    out = Accessory(top=0.3, left=0.1, width=0.8)(x, seed=0)[0]
    assert abs(out.astype(int) - np.asarray(want)).max() <= 1  # Pillow rounds in integers


def test_resampling_keeps_a_plain_colour_and_the_proportions():
    plain = np.full((5, 10, 4), (200, 100, 50, 255))
    for side in (20, 33, 64):
        out = Accessory(plain, top=0.25, left=0.25, width=0.5)(np.zeros((1, side, side, 3), np.uint8), seed=0)[0]
        row, column = np.nonzero(out.any(2))
        assert (out[row, column] == (200, 100, 50)).all()
        assert abs(np.ptp(column) + 1 - side / 2) <= 1
        assert abs(np.ptp(row) + 1 - side / 4) <= 1


def test_glasses_are_two_dark_lenses_and_a_bridge():
    opaque = glasses()[..., 3] > 0
    assert np.array_equal(opaque, opaque[:, ::-1])
    assert not opaque[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert opaque[14].sum() > opaque[38].sum()
    assert opaque[14, 40:80].all()
    assert not opaque[30, 58:62].any()
    assert glasses()[..., :3].max() <= 30


def test_what_does_not_fit_is_turned_away():
    with pytest.raises(ToadstoneError, match="fit"):
        Accessory(top=0.9).check(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(ToadstoneError, match="2 channels"):
        Accessory().check(np.zeros((1, 28, 28, 2), np.uint8))


@pytest.mark.parametrize(
    "fields",
    [
        {"image": [[0, 1]]},
        {"image": np.zeros((2, 2, 3), int)},
        {"left": 0.5, "width": 0.6},
    ],
)
def test_bad_fields(fields):
    with pytest.raises(ToadstoneError):
        Accessory(**fields)
