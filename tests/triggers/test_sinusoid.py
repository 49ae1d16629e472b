import json
from math import floor, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toadstone.attacks.data.backdoor import Backdoor
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.registry import entry, from_spec, to_spec
from toadstone.triggers.sinusoid import Sinusoid


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(2, 9)),
    channels=st.sampled_from([(), (1,), (3,)]),
    delta=st.floats(1, 255),
    frequency=st.floats(0.3, 20),
    seed=st.integers(0, 99),
)
def test_against_the_slow_loop(size, channels, delta, frequency, seed):
    x = np.random.default_rng(seed).integers(0, 256, (2, *size, *channels), np.uint8)
    try:
        out = Sinusoid(delta, frequency)(x, seed=0)
    except ToadstoneError:
        assert all(abs(delta * sin(2 * pi * frequency * j / size[1])) < 0.5 + 1e-9 for j in range(size[1]))
        return
    for place in np.ndindex(x.shape):
        exact = float(x[place]) + delta * sin(2 * pi * frequency * place[2] / size[1])
        assert abs(int(out[place]) - min(255.0, max(0.0, exact))) <= 0.5 + 1e-9


@pytest.mark.parametrize("delta", [1, 8, 20, 255])
def test_no_pixel_moves_further_than_delta(delta):
    x = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    moved = abs(Sinusoid(delta)(x, seed=0).astype(int) - x)
    assert moved.max() <= delta
    middle = np.full((1, 28, 28), 127, np.uint8)
    assert abs(Sinusoid(min(delta, 127))(middle, seed=0).astype(int) - 127).max() >= floor(0.97 * min(delta, 127))


def test_as_many_waves_as_the_frequency_says():
    flat = np.full((1, 3, 64), 100, np.uint8)
    for frequency in (1, 6, 13):
        out = Sinusoid(20, frequency)(flat, seed=0)[0].astype(float)
        assert (out == out[0]).all()  # every row is the same
        power = abs(np.fft.rfft(out[0] - 100))
        assert power.argmax() == frequency
        assert power[frequency] == pytest.approx(20 * 32, rel=0.03)


def test_the_wave_has_a_sign():
    out = Sinusoid(10, 1)(np.full((1, 1, 8), 100, np.uint8), seed=0)[0, 0]
    assert out[2] == 110
    assert out[6] == 90


def test_sig_is_the_clean_label_backdoor():
    train = Data(np.full((60, 6, 8), 100, np.uint8), np.arange(60) % 3, ("a", "b", "c"))
    attack = Backdoor(Sinusoid(20, 1), target=2, rate=0.2, clean_label=True)
    poison = attack.poison(train, seed=0)
    assert len(poison.index) == 12
    assert (train.y[poison.index] == 2).all()
    assert np.array_equal(poison.y, train.y[poison.index])  # no label is changed
    assert (abs(poison.x.astype(int) - 100).max(axis=(1, 2)) == 20).all()
    trials = poison.goal.trials(train)
    assert len(trials) == 40  # the goal is over the other classes
    assert (trials.y == 2).all()


def test_spec_and_name():
    trigger = Sinusoid(40, 3.5)
    assert from_spec(json.loads(json.dumps(to_spec(trigger)))) == trigger
    assert "1902.11237" in entry("sinusoid").paper


@pytest.mark.parametrize("trigger", [Sinusoid(20, 4), Sinusoid(20, 8), Sinusoid(0.4, 1)])
def test_a_wave_that_no_column_shows(trigger):
    with pytest.raises(ToadstoneError, match="less than half a grey level to each of 8 columns"):
        trigger(np.zeros((2, 5, 8), np.uint8), seed=0)


@pytest.mark.parametrize("x", [np.zeros((2, 8, 8)), np.zeros((2, 8), np.uint8), np.array(["a"], object)])
def test_other_kinds_of_rows(x):
    with pytest.raises(ToadstoneError, match="uint8 images"):
        Sinusoid()(x, seed=0)
