import numpy as np
import pytest

from toadstone.core import Data, Pool
from toadstone.errors import ToadstoneError
from toadstone.rows import check_same_kind

Y, CLASSES = np.array([0, 1]), ("a", "b")


def rows(x):
    return Data(x, Y, CLASSES)


TEXT = rows(np.array(["a", "b"], object))
IMAGES, WIDE = rows(np.zeros((2, 3, 3), np.uint8)), rows(np.zeros((2, 3, 4), np.uint8))
WHOLE, BROKEN, SINGLE = (rows(np.zeros((2, 3), kind)) for kind in (int, float, np.float32))
BYTES = rows(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "clean"),
    [(TEXT, TEXT), (IMAGES, IMAGES), (WHOLE, WHOLE), (BROKEN, WHOLE), (BROKEN, SINGLE), (SINGLE, BROKEN)],
)
def test_rows_of_one_kind(data, clean):
    check_same_kind(data, clean)
    assert Pool.of(data, clean).data.x.dtype == data.x.dtype


@pytest.mark.parametrize(
    ("data", "clean"),
    [(TEXT, WHOLE), (IMAGES, WIDE), (WHOLE, BROKEN), (BYTES, WHOLE), (BROKEN, BYTES), (WHOLE, IMAGES)],
)
def test_rows_of_two_kinds(data, clean):
    with pytest.raises(ToadstoneError, match=r"clean has .* but data has .*: give rows of one kind"):
        check_same_kind(data, clean)


def test_a_pool_copies_no_row_in_question():
    pool = Pool.of(IMAGES, IMAGES)
    assert pool.data.x.base is IMAGES.x
    assert pool.trusted.tolist() == [False, False, True, True]
    assert Pool.of(IMAGES, None).data is IMAGES
