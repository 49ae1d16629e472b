"""What every rule keeps, whatever it computes."""

import re
from dataclasses import replace

import numpy as np
import pytest

from toadstone.defenses.federated.arc import ARC
from toadstone.defenses.federated.bucketing import Bucketing
from toadstone.defenses.federated.bulyan import Bulyan
from toadstone.defenses.federated.centered_clipping import CenteredClipping
from toadstone.defenses.federated.dnc import Dnc
from toadstone.defenses.federated.foolsgold import FoolsGold
from toadstone.defenses.federated.geometric_median import GeometricMedian
from toadstone.defenses.federated.krum import Krum, MultiKrum
from toadstone.defenses.federated.meamed import Meamed
from toadstone.defenses.federated.mean import Mean
from toadstone.defenses.federated.median import CoordinateMedian
from toadstone.defenses.federated.nnm import NNM
from toadstone.defenses.federated.norm_clipping import NormClipping
from toadstone.defenses.federated.random_subset import RandomSubset
from toadstone.defenses.federated.sign_majority import SignMajority
from toadstone.defenses.federated.trimmed_mean import TrimmedMean
from toadstone.errors import ToadstoneError
from toadstone.federated.rule import Rule
from toadstone.federated.views import Aggregator, ServerView
from toadstone.registry import from_spec, to_spec

RULES = (
    Mean(), Mean(weighted=True), NormClipping(2.0), NormClipping(2.0, noise=0.1), CoordinateMedian(), TrimmedMean(3),
    Meamed(3), GeometricMedian(), GeometricMedian(weighted=True), Krum(3), MultiKrum(3), MultiKrum(3, keep=2),
    Bulyan(3), CenteredClipping(2.0, 3), NNM(3, CoordinateMedian()), NNM(3, Krum(3)),
    Bucketing(2, CoordinateMedian()), Bucketing(2, TrimmedMean(3)), ARC(3, TrimmedMean(3)), FoolsGold(),
    Dnc(3, subsample=10), SignMajority(0.1), RandomSubset(4),
)  # fmt: skip
LINEAR = [r for r in RULES if isinstance(r, Mean | GeometricMedian | Krum | MultiKrum | FoolsGold | Dnc | RandomSubset)]
LINEAR += [NormClipping(2.0), CenteredClipping(2.0, 3), NNM(3, Krum(3)), Bucketing(2, Krum(2)), ARC(3, Mean())]
AGAINST = [r for r in RULES if getattr(r, "f", 0)]
BY_CHANCE = (NormClipping(2.0, noise=0.1), Bucketing(2, CoordinateMedian()), RandomSubset(4), Dnc(3, subsample=4))


def name(rule):
    return repr(rule)


def given(n=16, d=37, seed=0):
    """Updates about a common direction, and a server that knows all there is."""
    draw = np.random.default_rng(seed)
    updates = (draw.normal(size=(n, d)) + 0.5).astype(np.float32)
    memory = draw.normal(size=(n, 12)).astype(np.float32)
    return updates, ServerView(seed=3, rows=draw.integers(1, 50, n), memory=memory, clients=np.arange(n))


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_a_rule_is_pure_seeded_and_survives_its_spec(rule):
    updates, view = given()
    before = updates.copy()
    for array in (updates, view.rows, view.memory):
        array.flags.writeable = False
    once, twice = rule(updates, view=view), from_spec(to_spec(rule))(updates, view=view)
    assert isinstance(rule, Aggregator)
    assert isinstance(rule, Rule)
    assert np.array_equal(updates, before)
    assert np.array_equal(once.update, twice.update)
    assert np.array_equal(once.weights, twice.weights)
    assert once.update.shape == (37,)
    assert once.update.dtype == np.float32
    assert once.weights.shape == (16,)
    assert (once.weights >= 0).all()
    assert not np.shares_memory(once.update, updates)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("rule", RULES, ids=name)
def test_rows_that_are_not_finite_have_no_weight_and_no_effect(rule, bad):
    updates, view = given()
    updates[[2, 9, 15], 5] = bad
    found = rule(updates, view=view)
    assert np.isfinite(found.update).all()
    assert (found.weights[[2, 9, 15]] == 0).all()
    assert found.weights.sum() > 0
    assert np.abs(found.update).max() < 5
    updates[[2, 9, 15]] = np.nan
    assert np.array_equal(rule(updates, view=view).update, found.update)


@pytest.mark.parametrize("rule", [r for r in AGAINST if not isinstance(r, Bucketing)], ids=name)
def test_a_row_that_is_not_finite_is_one_of_the_f(rule):
    """The rule goes on with the rows that are left as the rule of f - 3 does."""
    updates, view = given()
    updates[[2, 9, 15], 5] = np.nan
    keep = np.isfinite(updates).all(1)
    inner = replace(rule.rule, f=0) if hasattr(getattr(rule, "rule", None), "f") else getattr(rule, "rule", None)
    rest = replace(rule, f=0, **({"rule": inner} if inner else {}))
    short = replace(view, rows=view.rows[keep], memory=view.memory[keep], clients=view.clients[keep])
    np.testing.assert_allclose(rule(updates, view=view).update, rest(updates[keep], view=short).update, atol=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_a_round_of_which_nothing_is_left_is_refused(rule):
    updates, view = given()
    with pytest.raises(ToadstoneError, match="every update of this round is rejected"):
        rule(np.full_like(updates, np.nan), view=view)


@pytest.mark.parametrize("rule", LINEAR, ids=name)
def test_the_update_is_the_sum_of_the_updates_by_their_weights(rule):
    updates, view = given()
    found = rule(updates, view=view)
    np.testing.assert_allclose(found.update, found.weights @ updates.astype(float), atol=2e-6)


@pytest.mark.parametrize("rule", [r for r in RULES if r not in BY_CHANCE and not isinstance(r, Bucketing)], ids=name)
def test_the_order_of_the_clients_does_not_matter(rule):
    updates, view = given()
    order = np.random.default_rng(1).permutation(16)
    moved = replace(view, rows=view.rows[order], memory=view.memory[order])
    once, other = rule(updates, view=view), rule(updates[order], view=moved)
    np.testing.assert_allclose(other.update, once.update, atol=2e-6)
    np.testing.assert_allclose(other.weights, once.weights[order], atol=2e-6)


@pytest.mark.parametrize("rule", BY_CHANCE, ids=name)
def test_what_is_drawn_follows_the_seed_and_the_round(rule):
    updates, view = given()
    found = [rule(updates, view=replace(view, seed=s, number=k)).update for s in (1, 2, 3) for k in (0, 1, 2)]
    assert len({f.tobytes() for f in found}) > 1
    rounds, seeds = found[:3], found[::3]
    assert isinstance(rule, Dnc) or len({f.tobytes() for f in rounds}) > 1
    assert isinstance(rule, Dnc) or len({f.tobytes() for f in seeds}) > 1


@pytest.mark.parametrize("rule", AGAINST, ids=name)
def test_f_must_be_a_whole_number(rule):
    for f, sentence in ((-1, "f must be at least 0, not -1"), (True, "f must be a whole number, not True")):
        with pytest.raises(ToadstoneError, match=sentence):
            replace(rule, f=f)


@pytest.mark.parametrize(
    ("rule", "least"),
    [(TrimmedMean(3), 7), (Meamed(3), 7), (Dnc(3), 7), (NNM(3, Mean()), 7), (ARC(3, Mean()), 7), (Krum(3), 9),
     (MultiKrum(3), 9), (Bulyan(3), 15)],
    ids=repr,
)  # fmt: skip
def test_the_breakdown_point_is_checked(rule, least):
    updates, view = given()
    assert np.isfinite(rule(updates[:least], view=view).update).all()
    message = f"f=3 malicious ones of n={least - 1} updates .* = {least}: lower f or let more clients take part"
    with pytest.raises(ToadstoneError, match=message):
        rule(updates[: least - 1], view=view)
    updates[:least, 0] = np.nan
    updates[0, 0] = 1
    if not isinstance(rule, Krum | MultiKrum | Bulyan):
        return
    with pytest.raises(ToadstoneError, match=re.escape("f=0 malicious ones of n=1 finite updates")):
        rule(updates[:least], view=view)
