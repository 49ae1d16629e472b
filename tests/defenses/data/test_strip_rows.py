import numpy as np
import pytest

from planted import patched_and_twin
from toadstone.checks.common import toy
from toadstone.core import Data
from toadstone.defenses.data.strip_rows import StripRows
from toadstone.errors import ToadstoneError
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models.nets import SmallCNN
from toadstone.training import Adam, Train


def test_scores_are_those_of_a_slow_loop():
    t = toy()
    data, clean = t.train.take(np.arange(12)), t.train.take(np.arange(5, 12))
    scores = judge(StripRows(blends=6), t.model, data, clean=clean, seed=3)
    some = [
        [np.minimum(row.astype(int) + other, 255).astype(np.uint8) for other in clean.x[[*range(i), *range(i + 1, 7)]]]
        for row in data.x
        for i in range(7)
    ]
    probs = t.model.probs(np.array(some).reshape(-1, 8, 8)).reshape(12, 7, 6, -1).astype(float)
    slow = (probs * np.log2(probs + 1e-300)).sum(3).mean(2)  # whichever of the seven is left out
    left_out = np.abs(slow - scores.values[:, None]).max(0).argmin()
    assert scores.values == pytest.approx(slow[:, left_out], abs=1e-4)
    assert set(scores.pvalues) <= {0.5, 1.0}
    assert scores.trusted == 1


@pytest.mark.slow
def test_finds_a_learnt_trigger_and_nothing_on_the_clean_twin():
    trainer = Train(SmallCNN(8, 64), epochs=12, optimizer=Adam(3e-3), batch_size=32)
    found = []
    for seed in range(3):
        for data, clean, truth, planted in patched_and_twin(seed, 0.1):
            model = trainer.fit(data.append(clean), seed=seed)
            scores = judge(StripRows(blends=20), model, data, clean=clean, seed=0)
            flags = flag(scores, fdr=0.1).rows
            if planted:
                found.append(auroc(scores.values, truth))
            assert flags[~(truth & planted)].sum() <= 0.25 * max(flags.sum(), 60)
    assert np.mean(found) > 0.75  # a victim in ten does not learn the trigger so that it shows


def test_no_verdict_without_trusted_rows():
    alone = judge(StripRows(blends=20), toy().model, toy().train, seed=0)
    assert alone.pvalues is None


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (
            lambda: judge(StripRows(), toy().model, toy().train, clean=toy().held.take(np.arange(9)), seed=0),
            "clean has 9",
        ),
        (lambda: judge(StripRows(blends=10**6), toy().model, toy().train, seed=0), "data has"),
        (
            lambda: judge(
                StripRows(),
                toy().model,
                toy().train,
                clean=Data(np.zeros((200, 3, 3), np.uint8), np.arange(200) % 10, tuple("0123456789")),
                seed=0,
            ),
            "one kind",
        ),
    ],
)
def test_bad_input(action, word):
    with pytest.raises(ToadstoneError, match=word):
        action()
