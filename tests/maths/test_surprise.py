import math

import numpy as np
import pytest

from toadstone.maths.surprise import surprise


def test_surprise_is_the_tail_summed_by_hand():
    for rows, trusted, share in ((10, 0, 0.5), (7, 2, 0.3), (0, 4, 0.9), (50, 1, 0.05)):
        n = rows + trusted
        tail = sum(math.comb(n, b) * share**b * (1 - share) ** (n - b) for b in range(trusted + 1))
        nats = surprise(np.array([rows]), np.array([trusted]), np.array([share]))
        assert nats[0] == pytest.approx(-math.log(tail), abs=1e-9)
