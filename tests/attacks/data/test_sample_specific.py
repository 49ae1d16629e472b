import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from toadstone.attacks.data.sample_specific import Carrier, SampleSpecific, distortion, steganography
from toadstone.checks.common import toy
from toadstone.data import load, split
from toadstone.errors import ToadstoneError
from toadstone.evaluation.cost import attack_cost
from toadstone.models.nets import MLP, SmallCNN
from toadstone.registry import entry, to_spec
from toadstone.rng import torch_seed
from toadstone.training import Adam, Train
from toadstone.whitebox.pixels import to_pixels, to_unit

CODEC = Train(SmallCNN(8, 64), epochs=30, optimizer=Adam(5e-3), batch_size=64)
SMALL = SampleSpecific(target=3, bits=4, psnr=20.0, trainer=CODEC)


def test_distortion_is_one_at_the_psnr_asked_for():
    rng = np.random.default_rng(0)
    x, other = rng.random((2, 4, 1, 6, 6))
    slow = [10 * np.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(x, other, strict=True)]
    for i, psnr in enumerate(slow):
        assert distortion(torch.tensor(x), torch.tensor(other), float(psnr))[i].item() == pytest.approx(1.0)
    closer = distortion(torch.tensor(x), torch.tensor((x + other) / 2), 20.0)
    assert torch.allclose(closer, distortion(torch.tensor(x), torch.tensor(other), 20.0) / 4)


@pytest.fixture(scope="module")
def codec():
    parts = split(load("digits"), test=300, clean=100)
    return steganography(parts.train, SMALL, seed=0), parts


def test_the_code_is_read_back_from_unseen_rows_after_rounding(codec):
    (encoder, decoder), parts = codec
    x = to_unit(parts.test.x)
    with torch_seed(1), torch.inference_mode():
        code = torch.randint(2, (len(x), 4)).float()
        sent = to_pixels(encoder(x, code), 3)
        read = decoder(to_unit(sent)) > 0
        blank = decoder(x) > 0
    assert (read == (code > 0)).float().mean() > 0.9
    assert (blank == (code > 0)).float().mean() < 0.7  # the images by themselves do not tell the code
    error = np.mean((sent.astype(float) - parts.test.x) ** 2)
    assert 10 * np.log10(255**2 / error) > 18


def test_residuals_differ_by_input_and_by_code(codec):
    (encoder, _), parts = codec
    x = to_unit(parts.test.x)
    with torch.inference_mode():
        one, two = (Carrier(encoder, torch.tensor(bits))(x) - x for bits in ([1.0, 0, 0, 1], [0.0, 1, 1, 0]))
    assert one.std(0).mean() > 0.02
    assert (one - two).abs().mean() > 0.02


def test_poison_goal_and_cost():
    parts = split(load("digits"), test=300, clean=100)
    poison = replace(SMALL, trainer=Train(MLP((8,)), epochs=2)).poison(parts.train, seed=0)
    assert (parts.train.y[poison.index] != 3).all()
    assert (poison.y == 3).all()
    assert len(poison.index) == round(0.1 * len(parts.train))
    assert np.array_equal(poison.goal.trigger(parts.train.x[poison.index], seed=9), poison.x)
    error = np.mean((poison.x.astype(float) - parts.train.x[poison.index]) ** 2)
    assert attack_cost(parts.train, poison).psnr == pytest.approx(10 * np.log10(255**2 / error))
    again = pickle.loads(pickle.dumps(poison.goal))
    assert np.array_equal(again.trials(parts.test).x, poison.goal.trials(parts.test).x)
    with pytest.raises(ToadstoneError, match="JSON spec"):
        to_spec(poison.goal)
    assert entry("sample-specific").threat.fits("black-box")


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (SampleSpecific(target=10), "0..9"),
        (SampleSpecific(target=3, rate=0.95), "eligible"),
    ],
)
def test_impossible_settings_are_turned_away_before_any_training(attack, word, monkeypatch):
    monkeypatch.setattr("toadstone.attacks.data.sample_specific.steganography", None)
    with pytest.raises(ToadstoneError, match=word):
        attack.poison(toy().train, seed=0)


@pytest.mark.parametrize("fields", [{"trainer": Train(patience=1)}], ids=str)
def test_fields_that_cannot_be(fields):
    with pytest.raises(ToadstoneError):
        SampleSpecific(**fields)
