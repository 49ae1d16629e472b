import json

import numpy as np
import pytest

from toadstone.core import Data
from toadstone.errors import ToadstoneError
from toadstone.goals.misclassified import Misclassified
from toadstone.registry import from_spec, to_spec

TEST = Data(np.arange(6.0)[:, None], np.array([0, 1, 1, 1, 2, 2]), ("a", "b", "c"))


class Fixed:
    """Rows 0 to 5 are called 0, 2, 2, 1, 1, 2."""

    classes = TEST.classes

    def probs(self, x):
        return np.eye(3)[np.array([0, 2, 2, 1, 1, 2])[x[:, 0].astype(int)]]


def test_the_share_of_the_source_s_rows_that_are_called_the_target():
    rate = Misclassified(1, 2).success(Fixed(), TEST)
    assert (rate.value, rate.n) == (2 / 3, 3)
    assert Misclassified(1, 2).trials(TEST).y.tolist() == [2, 2, 2]
    assert from_spec(json.loads(json.dumps(to_spec(Misclassified(1, 2))))) == Misclassified(1, 2)


@pytest.mark.parametrize(("source", "target", "word"), [(5, 0, "0..2"), (0, 3, "3 classes")])
def test_classes_that_the_test_set_does_not_have(source, target, word):
    with pytest.raises(ToadstoneError, match=word):
        Misclassified(source, target).success(Fixed(), TEST)


def test_one_class_for_itself():
    with pytest.raises(ToadstoneError, match="another class"):
        Misclassified(1, 1)
