import numpy as np
import pytest

from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.models.nets import MLP
from toadstone.training import Fit, Train
from toadstone.whitebox.pixels import image_surrogate, to_pixels, to_unit


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 4, 6, 1), (5, 4, 6, 3)])
def test_pixels_survive_the_way_to_tensors_and_back(shape):
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    unit = to_unit(x)
    assert unit.shape == (5, shape[3] if len(shape) == 4 else 1, 4, 6)
    assert float(unit[1, 0, 2, 3]) == pytest.approx(x.reshape(5, 4, 6, -1)[1, 2, 3, 0] / 255)
    assert np.array_equal(to_pixels(unit, x.ndim), x)


def test_a_budget_of_whole_grey_levels_holds_after_rounding():
    x = np.random.default_rng(1).integers(0, 256, (50, 8, 8), np.uint8)
    unit = to_unit(x)
    rng = np.random.default_rng(2)
    moved = (unit + unit.new_tensor(rng.uniform(-8, 8, unit.shape) / 255)).clamp(0, 1)
    assert abs(to_pixels(moved, 3).astype(int) - x).max() <= 8


def test_a_surrogate_must_be_a_net_of_the_same_images_and_classes():
    train = toy().train
    model = image_surrogate(Train(MLP((8,)), epochs=1), train, seed=0)
    assert model.probs(train.x[:3]).shape == (3, 10)
    with pytest.raises(ToadstoneError, match="must make a TorchModel"):
        image_surrogate(Fit("sklearn.tree.DecisionTreeClassifier"), train, seed=0)
    with pytest.raises(ToadstoneError, match="uint8 images"):
        image_surrogate(Train(), Data(np.zeros((4, 3)), np.arange(4) % 2, ("a", "b")), seed=0)

    class Fixed:
        def fit(self, train, *, seed):
            return model

    few = Data(train.x[:], np.minimum(train.y, 1), ("a", "b"))
    with pytest.raises(ToadstoneError, match="10 classes but train has 2"):
        image_surrogate(Fixed(), few, seed=0)
    wide = Data(np.zeros((4, 9, 9), np.uint8), np.arange(4) % 2, train.classes)
    with pytest.raises(ToadstoneError, match="the model takes 8 x 8"):
        image_surrogate(Fixed(), wide, seed=0)
