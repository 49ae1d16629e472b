import numpy as np

from toadstone.maths.columns import standardised, tiles


def test_columns_have_mean_0_and_variance_1():
    x = np.random.default_rng(0).normal(3, 5, (50, 2, 3))
    by_hand = (x.reshape(50, 6) - x.reshape(50, 6).mean(0)) / x.reshape(50, 6).std(0)
    assert np.allclose(standardised(x), by_hand, atol=1e-6)
    assert standardised(np.arange(6).reshape(3, 2)).dtype == np.float32


def test_tiles_are_means_in_a_slow_loop():
    x = np.random.default_rng(0).integers(0, 256, (3, 35, 50, 2)).astype(np.uint8)
    th, tw = 35 // 16, 50 // 16
    slow = [
        [x[n, th * i : th * i + th, tw * j : tw * j + tw, c].mean() / 255 for i in range(35 // th)
         for j in range(50 // tw) for c in range(2)]
        for n in range(3)
    ]  # fmt: skip
    assert np.allclose(tiles(x), slow, atol=1e-6)
    small = np.random.default_rng(1).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    assert np.allclose(tiles(small), small.reshape(4, 64) / 255)
