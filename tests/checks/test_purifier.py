from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.checks import ViolationError, check_purifier
from toadstone.registry import register
from toadstone.rng import child


@register("purifier")
@dataclass(frozen=True)
class Noise:
    """The same grey levels onto every input; ``fault`` names the clause that it breaks."""

    fault: str = ""

    def purify(self, inputs, *, seed):
        draw = np.random.default_rng(None if self.fault == "seed" else child(seed, "noise"))
        if self.fault == "inputs":
            inputs[0] += 1
        shape = inputs.shape if self.fault == "neighbours" else inputs.shape[1:]
        out = inputs + draw.integers(0, 9, shape)
        return out if self.fault == "dtype" else out.astype(inputs.dtype)


def test_silent_on_one_that_keeps_the_contract():
    check_purifier(Noise())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("seed", "one seed differ"), ("inputs", "changed"), ("dtype", "dtype"), ("neighbours", "neighbours")],
)
def test_says_which_clause_is_broken(fault, sentence):
    with pytest.raises(ViolationError, match=sentence):
        check_purifier(Noise(fault))
