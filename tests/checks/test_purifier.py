from dataclasses import dataclass

import numpy as np
import pytest

from toadstone.checks import ViolationError, check_purifier
from toadstone.errors import NotApplicableError, ToadstoneError
from toadstone.registry import register
from toadstone.rng import child


@register("purifier")
@dataclass(frozen=True)
class Noise:
    """The same grey levels onto every input; ``fault`` names the clause that it breaks."""

    fault: str = ""

    def purify(self, inputs, *, seed):
        if inputs.dtype == object:
            if self.fault in ("text", "plainly"):
                raise TypeError("no text") if self.fault == "text" else ToadstoneError("no text")
            raise NotApplicableError("inputs must be numbers.")
        if self.fault == "own memory":
            return inputs
        draw = np.random.default_rng(None if self.fault == "seed" else child(seed, "noise"))
        if self.fault == "inputs":
            inputs[0] += 1
        shape = inputs.shape if self.fault == "neighbours" else inputs.shape[1:]
        out = inputs + draw.integers(0, 9, shape)
        if self.fault == "place" and len(inputs) == 40:
            out[20:] += 1
        if self.fault == "table" and inputs.ndim == 2:
            out = out[:, :-1]
        return out if self.fault == "dtype" else out.astype(inputs.dtype)


def test_silent_on_one_that_keeps_the_contract():
    check_purifier(Noise())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("seed", "one seed differ"),
        ("inputs", "changed"),
        ("dtype", "dtype"),
        ("neighbours", "neighbours"),
        ("place", "do not follow their inputs"),
        ("own memory", "inputs' own memory"),
        ("table", "keep shape and dtype"),
        ("text", "Of texts it says TypeError"),
        ("plainly", "Of texts it says ToadstoneError"),
    ],
)
def test_says_which_clause_is_broken(fault, sentence):
    with pytest.raises(ViolationError, match=sentence):
        check_purifier(Noise(fault))
