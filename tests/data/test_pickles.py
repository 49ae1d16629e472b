from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from hostile.pickles import pickles
from toadstone.data.pickles import check_tame
from toadstone.errors import ToadstoneError

PATH = Path("f.pkl")
HARMFUL = ("memo", "memo of a gigabyte", "memo as text", "a key of pairs", "a set of pairs", "labels of pairs",
           "deep tuples", "deep lists", "a key of deep tuples")  # fmt: skip


def nested(depth):
    value = 1
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize("name", HARMFUL)
@pytest.mark.parametrize("atoms", [True, False])
def test_pickles_that_harm_by_being_read(name, atoms):
    with pytest.raises(ToadstoneError, match=r"f\.pkl is a pickle that is made to harm"):
        check_tame(pickles()[name], PATH, atoms=atoms)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_objects_pass(protocol):
    value = {b"labels": list(range(3000)), b"data": np.arange(9, dtype=np.uint8), "o": OrderedDict(a=(1, (2, "a")))}
    check_tame(pickle.dumps(value, protocol), PATH, atoms=protocol > 1)  # the first two know no names for bytes


@pytest.mark.parametrize("protocol", [2, 4])
def test_depth_has_a_bound(protocol):
    check_tame(pickle.dumps(nested(90), protocol), PATH, atoms=True)
    with pytest.raises(ToadstoneError, match="made to harm"):
        check_tame(pickle.dumps(nested(110), protocol), PATH, atoms=True)


def test_depth_counts_what_is_put_together_later():
    half = nested(60)
    outer = half
    for _ in range(60):
        outer = {"a": outer}
    with pytest.raises(ToadstoneError, match="made to harm"):
        check_tame(pickle.dumps(outer, 2), PATH, atoms=False)


def test_lists_may_stand_twice_in_a_state_dict_alone():
    shared = [1, 2]
    raw = pickle.dumps([shared, shared], 2)
    check_tame(raw, PATH, atoms=False)
    with pytest.raises(ToadstoneError, match="made to harm"):
        check_tame(raw, PATH, atoms=True)


def test_one_pickle_of_a_file_is_followed(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(pickle.dumps(1, 2) + pickle.dumps(nested(200), 2))
    with path.open("rb") as file:
        check_tame(file, path, atoms=False)
        with pytest.raises(ToadstoneError):
            check_tame(file, path, atoms=False)


def test_what_is_no_pickle_raises_something():
    for raw in (b"", b"(", b"\x80\x02", b"(((1", io.BytesIO(b"xyz").getvalue()):
        with pytest.raises(Exception):  # noqa: B017, PT011 (the reader makes a sentence of it)
            check_tame(raw, PATH, atoms=True)
