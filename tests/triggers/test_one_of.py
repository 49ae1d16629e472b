import json

import numpy as np
import pytest
from scipy.stats import chisquare

from toadstone.errors import ToadstoneError
from toadstone.registry import from_spec, to_spec
from toadstone.triggers.dynamic import Dynamic
from toadstone.triggers.one_of import OneOf
from toadstone.triggers.patch import Patch
from toadstone.triggers.words import InsertWords

THREE = OneOf(tuple(Patch(1, "top-left", value) for value in (10, 20, 30)))


def test_each_row_has_exactly_one_of_them_evenly():
    x = np.zeros((3000, 4, 4), np.uint8)
    out = THREE(x, seed=0)
    assert not x.any()
    assert not out.reshape(3000, -1)[:, 1:].any()
    values, counts = np.unique(out[:, 0, 0], return_counts=True)
    assert values.tolist() == [10, 20, 30]
    assert chisquare(counts).pvalue > 1e-4


def test_the_seed_decides_and_a_batch_is_the_beginning_of_a_longer_one():
    x = np.zeros((40, 4, 4), np.uint8)
    assert np.array_equal(THREE(x, seed=1), THREE(x, seed=1))
    assert not np.array_equal(THREE(x, seed=1), THREE(x, seed=2))
    assert np.array_equal(THREE(x, seed=1)[:7], THREE(x[:7], seed=1))
    assert len(THREE(x[:0], seed=1)) == 0


def test_triggers_of_one_kind_draw_apart():
    moving = Dynamic(Patch(1))
    lit = OneOf((moving, moving))(np.zeros((400, 8, 8), np.uint8), seed=0).reshape(400, -1).argmax(1)
    halves = lit[:200], lit[200:]
    assert (halves[0] == halves[1]).mean() < 0.1


def test_text_and_spec():
    words = OneOf((InsertWords(("cf",)), InsertWords(("mn",))))
    out = words(np.array(["a"] * 20, object), seed=0)
    assert set(out) == {"cf a", "mn a"}
    assert from_spec(json.loads(json.dumps(to_spec(THREE)))) == THREE


def test_errors():
    with pytest.raises(ToadstoneError, match="fit"):
        OneOf((Patch(1), Patch(9))).check(np.zeros((1, 4, 4), np.uint8))
