import numpy as np
import pytest

from toadstone.errors import ToadstoneError
from toadstone.triggers import Chain, Dynamic, Patch


def test_in_order():
    x = np.zeros((2, 6, 6), np.uint8)
    under, over = Patch(4, "center", 100), Patch(2, "center", 200)
    assert np.array_equal(Chain((under, over))(x, seed=0), over(under(x, seed=0), seed=0))
    assert Chain((under, over))(x, seed=0)[0, 2].tolist() == [0, 100, 200, 200, 100, 0]
    assert Chain((over, under))(x, seed=0)[0, 2].tolist() == [0, 100, 100, 100, 100, 0]


def test_links_draw_apart():
    link = Dynamic(Patch(1))
    lit = Chain((link, link))(np.zeros((200, 8, 8), np.uint8), seed=0).astype(bool).sum((1, 2))
    assert (lit == 2).sum() > 180  # 1 in 64 meet by chance


def test_any_link_that_does_not_fit_is_turned_away():
    with pytest.raises(ToadstoneError, match="fit"):
        Chain((Patch(), Patch(9))).check(np.zeros((1, 8, 8), np.uint8))
