import numpy as np
import pytest
import torch

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models.encode import Columns, Pixels, Words, fit_encode, words


def test_pixels_by_a_slow_loop():
    x = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 2), np.uint8)
    encoded = Pixels(4, 5, 2)(x)
    for i in range(3):
        for c in range(2):
            assert torch.equal(encoded[i, c], torch.tensor(x[i, :, :, c] / np.float32(255)))
    assert Pixels(4, 5)(x[..., 0]).shape == (3, 1, 4, 5)


def test_columns_are_standardised_and_a_constant_one_stays_finite():
    x = np.stack([np.arange(10.0), np.full(10, 3.0)], 1)
    encode = fit_encode(Data(x, np.arange(10) % 2, ("a", "b")))
    assert isinstance(encode, Columns)
    out = encode(x)
    assert out[:, 0].mean().abs() < 1e-6
    assert abs(out[:, 0].std(correction=0) - 1) < 1e-6
    assert (out[:, 1] == 0).all()


def test_words_are_numbered_padded_and_cut():
    encode = Words(("good", "film"), length=3)
    out = encode(np.array(["Good film!", "film", "a good film good"], object))
    assert out.tolist() == [[2, 3, 1], [3, 0, 0], [1, 2, 3]]
    assert encode.shape == (4,)


def test_vocabulary_is_by_frequency_and_leaves_out_words_seen_once():
    x = np.array(["b a a", "b a once"], object)
    assert fit_encode(Data(x, np.array([0, 1]), ("n", "p"))).vocabulary == ("a", "b")
    assert words("Don't!") == ["don", "'", "t", "!"]


@pytest.mark.parametrize(
    ("encode", "x"),
    [(Pixels(4, 4), np.zeros((2, 5, 4), np.uint8)), (Columns((0.0,), (1.0,)), np.zeros((2, 2)))],
)
def test_other_shapes_are_refused(encode, x):
    with pytest.raises(ToadstoneError, match="the model takes"):
        encode(x)


def test_data_of_no_modality_is_refused():
    with pytest.raises(ToadstoneError, match="neither"):
        fit_encode(Data(np.zeros((4, 2, 2, 2)), np.arange(4) % 2, ("a", "b")))
