import json

import numpy as np
import pytest

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.goals.class_error import ClassError
from toadstone.registry import from_spec, to_spec

TEST = Data(np.arange(6.0)[:, None], np.array([0, 1, 1, 1, 2, 2]), ("a", "b", "c"))


class Fixed:
    """Rows 0 to 5 are called 0, 2, 0, 1, 1, 2."""

    classes = TEST.classes

    def probs(self, x):
        return np.eye(3)[np.array([0, 2, 0, 1, 1, 2])[x[:, 0].astype(int)]]


def test_the_share_of_the_source_s_rows_that_are_called_something_else():
    rate = ClassError(1).success(Fixed(), TEST)
    assert (rate.value, rate.n) == (pytest.approx(2 / 3), 3)
    assert rate.low < rate.value < rate.high
    assert ClassError(1).trials(TEST).y.tolist() == [1, 1, 1]
    assert from_spec(json.loads(json.dumps(to_spec(ClassError(1))))) == ClassError(1)


@pytest.mark.parametrize("source", [3, -1])
def test_a_class_that_there_is_not(source):
    with pytest.raises(ToadstoneError, match="3 classes"):
        ClassError(source).success(Fixed(), TEST)
