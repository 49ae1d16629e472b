from __future__ import annotations

import gzip
import os
import signal
import warnings

import pytest

from hostile.containers import gunzip_bomb
from toadstone import files
from toadstone.errors import ToadstoneError
from toadstone.files import check_unpacked, is_text, new_folder, one_line, read_bytes, reading, writing


@pytest.fixture
def in_time():
    """A reader that waits for a pipe is stopped."""

    def stop(*_):
        raise TimeoutError("it waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a\nb.  c."), "a b. c"),
        (KeyError("k"), "'k'"),
        (OSError(2, "No such file"), "No such file"),
        (MemoryError(), "more memory than there is"),
        (RecursionError("x"), "nested too deeply"),
        (StopIteration(), "StopIteration"),
        (ValueError("x" * 10_000), "xxx ... xxx"),
    ],
)
def test_whatever_is_raised_becomes_one_sentence(error, words):
    with pytest.raises(ToadstoneError) as caught, reading("f.npz", "is not an npz", "mend it"):
        raise error
    message = str(caught.value)
    assert message.startswith("f.npz is not an npz (")
    assert words in message
    assert message.endswith("): mend it.")
    assert message.isprintable()
    assert len(message) < 400
    assert caught.value.__cause__ is error


def test_what_is_no_error_passes():
    for stop in (KeyboardInterrupt, SystemExit):
        with pytest.raises(stop), reading("f"):
            raise stop
    told = ToadstoneError("x is empty: give a row.")
    with pytest.raises(ToadstoneError) as caught, reading("f"):
        raise told
    assert caught.value is told


def test_warnings_of_decoders_are_neither_shown_nor_raised():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with reading("f"):
            warnings.warn("odd header", stacklevel=1)
    assert not seen
    with reading("f"):
        warnings.warn("odd header", stacklevel=1)  # the tests make errors of warnings


def test_names_cannot_break_a_message():
    assert one_line("a\x1b[2J\n\udcff\u202eb") == r"a\x1b[2J\n\udcff\u202eb"
    long = one_line("start " + "é\n" * 10**6 + " end")
    assert len(long) < 400
    assert long.startswith("start ")
    assert long.endswith(" end")
    with pytest.raises(ToadstoneError, match=r"^Column 'a\\nb' is odd\.$"), reading("f"):
        raise ToadstoneError("Column 'a\nb' is odd.")


def test_text_that_utf8_has():
    assert is_text("é\U0001f600")
    assert not is_text("\ud800")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_pipes_and_devices_are_not_opened(tmp_path, in_time, make):
    make(tmp_path / "f")
    with pytest.raises(ToadstoneError, match="is a folder, a pipe or a device"):
        read_bytes(tmp_path / "f")


def test_a_missing_file(tmp_path):
    with pytest.raises(ToadstoneError, match=r"f cannot be read \(No such file or directory\): fetch it again\.$"):
        read_bytes(tmp_path / "f")


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "f.gz"
    path.write_bytes(gunzip_bomb(bytes(1 << 20), 4096))
    taken = []
    monkeypatch.setattr(files, "check_unpacked", lambda *a: (taken.append(a[2]), check_unpacked(*a)))
    with pytest.raises(ToadstoneError, match="over 50 times as many"):
        read_bytes(path)
    assert max(taken) < 256 << 20
    path.write_bytes(gzip.compress(bytes(files.FREE)))
    assert len(read_bytes(path)) == files.FREE


def test_what_no_memory_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_memory", lambda: 1000)
    path = tmp_path / "f"
    path.write_bytes(bytes(1001))
    with pytest.raises(ToadstoneError, match="1,001 bytes, more than this machine's memory"):
        read_bytes(path)
    path.write_bytes(bytes(1000))
    assert len(read_bytes(path)) == 1000


def test_a_folder_that_somebody_fills_in_the_meantime_stays(tmp_path):
    place = tmp_path / "place"

    def fill():
        with writing(place), new_folder(place) as draft:
            (draft / "ours").write_text("ours")
            place.mkdir()
            (place / "theirs").write_text("theirs")

    with pytest.raises(ToadstoneError, match="place cannot be written"):
        fill()
    assert [path.name for path in place.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_folder_is_replaced_whole_where_that_is_asked_for(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").write_text("old")
    with pytest.raises(RuntimeError), new_folder(place, replace=True):
        raise RuntimeError
    assert [path.name for path in place.iterdir()] == ["old"]
    with new_folder(place, replace=True) as draft:
        (draft / "new").write_text("new")
    assert [path.name for path in place.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
