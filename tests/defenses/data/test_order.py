import numpy as np
import pytest

from toadstone.core import Data
from toadstone.data import load
from toadstone.defenses.data.order import by_content


@pytest.mark.parametrize("kind", ["image", "text"])
def test_the_order_follows_the_rows_and_the_seed(kind):
    digits = load("digits").take(np.arange(200))
    words = np.array([f"row {i}" for i in range(200)], object)
    data = digits if kind == "image" else Data(words, digits.y, digits.classes)
    shuffled = np.random.default_rng(0).permutation(200)
    order = by_content(data, 5)
    assert sorted(order) == list(range(200))
    assert (data.take(order).x == data.take(shuffled).take(by_content(data.take(shuffled), 5)).x).all()
    assert not np.array_equal(order, by_content(data, 6))
