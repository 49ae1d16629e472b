import numpy as np
import pytest

from toadstone.core import Data
from toadstone.data import load
from toadstone.defenses.inference.scaling_filter import ScalingFilter
from toadstone.errors import ToadstoneError
from toadstone.models import load as load_model
from toadstone.models import save
from toadstone.models.nets import MLP
from toadstone.registry import entry
from toadstone.training import Fit, Train
from toadstone.training.resized import Resized
from toadstone.triggers.scalers import Scaler

INNER = Train(MLP((16,)), epochs=2)
SCALER = Scaler("torch", "bilinear", 4, 4)


@pytest.fixture(scope="module")
def digits():
    return load("digits").take(np.arange(600))


@pytest.mark.parametrize("purifier", [None, ScalingFilter(SCALER, "random")])
def test_it_is_the_other_trainer_on_resized_rows(digits, purifier, tmp_path):
    x = digits.x.copy()
    model = Resized(INNER, SCALER, purifier).fit(digits, seed=3)
    small = SCALER(x if purifier is None else purifier.purify(x, seed=0))
    inner = INNER.fit(Data(small, digits.y, digits.classes), seed=3)
    assert np.array_equal(digits.x, x)
    assert np.allclose(model.probs(digits.x), inner.probs(small))
    assert np.allclose(model.features(digits.x), inner.features(small))
    save(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.encode == model.encode
    assert np.array_equal(again.probs(digits.x), model.probs(digits.x))


def test_pictures_of_any_size_are_read(digits):
    model = Resized(INNER, SCALER).fit(digits, seed=0)
    large = digits.x[:20].repeat(2, 1).repeat(2, 2)
    assert model.probs(large).shape == (20, 10)


def test_name_and_errors(digits):
    assert entry("resized").cls is Resized
    with pytest.raises(ToadstoneError, match="makes a SklearnModel"):
        Resized(Fit("sklearn.naive_bayes.GaussianNB"), SCALER).fit(digits, seed=0)
    with pytest.raises(ToadstoneError, match="uint8"):
        Resized(INNER, SCALER).fit(Data(np.ones((4, 3)), np.arange(4) % 2, ("a", "b")), seed=0)
