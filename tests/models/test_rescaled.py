import json

import numpy as np

from toadstone.models.encode import Pixels
from toadstone.models.rescaled import Rescaled, resize
from toadstone.registry import from_spec, to_spec
from toadstone.triggers.scalers import Scaler


def test_rescaled_is_purifier_scaler_encoder():
    x = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    scale, seen = Scaler(height=4, width=4), []

    class Invert:
        def purify(self, pictures, *, seed):
            seen.append(seed)
            return 255 - pictures

    read = Rescaled(scale, Pixels(4, 4, 3), Invert())
    assert read.shape == (3, 4, 4)
    assert np.array_equal(read(x).numpy(), Pixels(4, 4, 3)(scale(255 - x)).numpy())
    assert seen == [0]
    assert np.array_equal(resize(x, scale, None), scale(x))
    plain = Rescaled(scale, Pixels(4, 4, 3))
    assert from_spec(json.loads(json.dumps(to_spec(plain)))) == plain
