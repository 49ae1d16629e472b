import random

import numpy as np
import torch

from toadstone.rng import child, torch_seed


def test_children_are_distinct_and_stable():
    seeds = {child(s, *path) for s in range(50) for path in (("a",), ("b",), ("a", "b"), ("ab",))}
    assert len(seeds) == 200
    assert all(0 <= s < 2**63 for s in seeds)


def test_torch_seed_repeats_and_leaves_no_trace():
    before = torch.get_rng_state(), random.getstate()
    with torch_seed(3):
        a = torch.rand(4)
    with torch_seed(3):
        b = torch.rand(4)
    assert torch.equal(a, b)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.random.default_rng(child(0, "a")).random() != np.random.default_rng(child(0, "b")).random()
