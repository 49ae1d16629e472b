import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from toadstone.core import Rate
from toadstone.errors import ToadstoneError
from toadstone.federated.rounds import RoundRecord, State

RECORD = RoundRecord(
    number=0,
    clients=(3, 1),
    malicious=(1,),
    weights=(1.0, 0.0),
    norms=(0.5, None),
    cosines=(1.0, None),
    refused=None,
    gamma=2.0,
    f=1,
    told=None,
    accuracy=Rate.of(9, 10),
    success=None,
    seconds=0.1,
)


def test_a_record_is_json():
    found = json.loads(json.dumps(asdict(RECORD), allow_nan=False))
    assert found["clients"] == [3, 1]
    assert found["accuracy"]["n"] == 10


@pytest.mark.parametrize("more", [True, False])
def test_what_is_saved_is_loaded(tmp_path, more):
    draw = np.random.default_rng(0)
    state = State(draw.normal(size=5).astype(np.float32), records=[RECORD, replace(RECORD, number=1, refused="no")])
    if more:
        state.previous, state.before = draw.normal(size=(2, 5)).astype(np.float32)
        state.memory = {7: np.ones(2, np.float32), 2: np.zeros(2, np.float32)}
    folder = tmp_path / "new" / "folder"
    assert State.load(folder, "run") is None
    state.save(folder, "run")
    state.save(folder, "run")
    found = State.load(folder, "run")
    assert [path.name for path in folder.iterdir()] == ["rounds.npz"]
    assert found.records == state.records
    for name in ("weights", "previous", "before"):
        a, b = getattr(found, name), getattr(state, name)
        assert (a is b is None) or (np.array_equal(a, b) and a.dtype == b.dtype)
    assert list(found.memory) == list(state.memory)
    assert all(np.array_equal(found.memory[i], state.memory[i]) for i in state.memory)


def test_another_run_and_a_damaged_file(tmp_path):
    State(np.zeros(2, np.float32)).save(tmp_path, "run")
    with pytest.raises(ToadstoneError, match="holds a run of other settings, seed or data"):
        State.load(tmp_path, "other")
    whole = (tmp_path / "rounds.npz").read_bytes()
    (tmp_path / "rounds.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ToadstoneError, match="not an npz file of plain arrays"):
        State.load(tmp_path, "run")
    np.savez(tmp_path / "rounds.npz", weights=np.zeros(2))
    with pytest.raises(ToadstoneError, match="lacks the array 'memory'"):
        State.load(tmp_path, "run")
