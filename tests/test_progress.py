"""Lines of progress where standard error is no terminal: only where a command asks, and with an estimate."""

import io
import time

import pytest

from toadstone import progress
from toadstone.progress import duration, lines, stage, track


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, "_FIRST", 0.05)
    monkeypatch.setattr(progress, "_LONGEST", 0.05)


def test_a_library_says_nothing(capsys, quick):
    stage("stage 1")
    assert [*track([1, 2], "loop")] == [1, 2]
    for _ in track([1], "loop"):
        time.sleep(0.2)
    assert capsys.readouterr() == ("", "")


def test_a_command_tells_its_stages_at_once(capsys):
    with lines():
        stage("stage 1 of 4: labels")
    stage("stage 2 of 4: clusters")
    assert capsys.readouterr() == ("", "stage 1 of 4: labels\n")


def test_short_loops_are_not_told(capsys):
    with lines():
        assert [*track(range(1000), "loop")] == [*range(1000)]
    assert capsys.readouterr() == ("", "")


def test_a_long_loop_is_told_with_an_estimate(capsys, quick):
    with lines():
        for item in track([1, 2, 3], "training"):
            time.sleep(0.3 if item == 2 else 0.0)
    out, error = capsys.readouterr()
    assert out == ""
    assert error.splitlines()[0] == "training: 1 of 3, about 0 s left (0 s so far)"


def test_one_long_item_is_told_too(capsys, quick):
    with lines():
        for _ in track([1], "stage 2 of 4: clusters"):
            for _ in track([1, 2], "nearest rows"):
                time.sleep(0.2)
    assert "stage 2 of 4: clusters; nearest rows: 0 of 2 (0 s so far)" in capsys.readouterr().err.splitlines()


def test_a_loop_of_unknown_length(capsys, quick):
    with lines():
        for _ in track(iter([1]), "files"):
            time.sleep(0.2)
    assert capsys.readouterr().err.splitlines()[0] == "files: 0 (0 s so far)"


def test_lines_end_with_the_loop_also_where_it_is_left(capsys, quick):
    with lines():
        loop = track([1, 2, 3], "loop")
        next(loop)
        loop.close()
        failing = track([1], "failing")
        next(failing)
        with pytest.raises(RuntimeError):
            failing.throw(RuntimeError)
        capsys.readouterr()
        time.sleep(0.2)
    assert capsys.readouterr() == ("", "")
    assert progress._LINES.loops == []


def test_a_closed_standard_error_ends_the_lines_and_not_the_work(monkeypatch, quick):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    with lines():
        for _ in track([1], "loop"):
            time.sleep(0.2)


def test_no_standard_error_at_all(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    with lines():
        assert [*track([1], "loop")] == [1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.4, "0 s"), (59, "59 s"), (89.4, "89 s"), (90, "2 min"), (150, "2 min"), (3600, "60 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(5400, "1.5 h"), (36000, "10.0 h"), (1e6, "277.8 h")])
def test_long_durations(seconds, words):
    assert duration(seconds) == words
