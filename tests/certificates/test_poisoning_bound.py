import numpy as np
import pytest
from scipy.optimize import minimize

from toadstone.attacks.data.candidate_attack import CandidateAttack
from toadstone.certificates.poisoning_bound import poisoning_bound
from toadstone.convex.game import mean_loss, play, signed
from toadstone.core import Data
from toadstone.errors import ToadstoneError


def table(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(20, 80)), int(rng.integers(1, 8))
    y = np.arange(n) % 2
    return Data(rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + rng.normal(size=d) * y[:, None], y, ("no", "yes"))


def least_loss(train, x, sign, attack):
    """The least mean clean loss + rate * mean poison loss within the norm, by a general convex solver."""
    cp = pytest.importorskip("cvxpy")
    theta = cp.Variable(train.x.shape[1] + 1)
    terms = []
    for rows, s, weight in ((train.x, 2 * train.y - 1, 1.0), (x, sign, attack.rate)):
        margin = cp.multiply(s, np.column_stack([rows, np.ones(len(rows))]) @ theta)
        loss = cp.pos(1 - margin) if attack.loss == "hinge" else cp.logistic(-margin)
        terms.append(weight * cp.sum(loss) / len(rows))
    return cp.Problem(cp.Minimize(sum(terms)), [cp.norm(theta) <= attack.norm]).solve(solver="CLARABEL")


@pytest.mark.parametrize("loss", ["hinge", "logistic"])
@pytest.mark.parametrize("seed", range(4))
def test_no_poison_that_passes_costs_more_than_the_bound(seed, loss):
    """Random data sets: Algorithm 1's own poison, rows at random places of the sets, flipped labels that pass."""
    train, rng = table(seed), np.random.default_rng(seed)
    attack = CandidateAttack(rng.uniform(0.1, 0.6), rng.uniform(0.3, 3), loss, rng.uniform(0.3, 1), 500, 0.1)
    bound = poisoning_bound(train, attack, tolerance=1.0)
    assert bound.clean_loss <= bound.upper
    sets = attack.sets(train)
    own = attack.poison(train, seed=seed)
    kinds = [(own.x, 2 * own.y - 1)]
    for _ in range(2):
        sign = rng.choice([-1, 1], 30)
        x = np.stack([sets[(s + 1) // 2].furthest(rng.normal(size=train.x.shape[1]))[0] for s in sign])
        kinds.append((x, sign))
    for x, sign in kinds:
        assert least_loss(train, x, sign, attack) <= bound.upper + 1e-5


def test_the_bound_is_met_by_an_attack():
    """Many points played: their best response costs nearly what the bound says, and at least ``lower``."""
    for seed in range(2):
        train = table(seed)
        attack = CandidateAttack(0.3, 1.0, "hinge", 0.7, 1500, 0.1)
        bound = poisoning_bound(train, attack, 0.05)
        assert bound.upper - bound.lower < 0.05
        game = play(
            mean_loss(signed(train.x, train.y), "hinge"), attack.sets(train), attack, np.arange(attack.iterations)
        )
        cost = least_loss(train, game.x, game.sign, attack)
        assert bound.lower - 1e-6 <= cost <= bound.upper + 1e-6


def test_without_room_for_poison_the_bound_is_the_clean_optimum():
    train = Data(np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]), ("no", "yes"))
    attack = CandidateAttack(rate=1e-6, norm=0.5, iterations=1500)

    def clean(theta):
        return np.maximum(0, 1 - (2 * train.y - 1) * (train.x[:, 0] * theta[0] + theta[1])).mean()

    within = {"type": "ineq", "fun": lambda theta: 0.25 - (theta**2).sum()}
    least = minimize(clean, [0.1, 0.0], constraints=within, method="COBYLA", options={"maxiter": 3000}).fun
    assert poisoning_bound(train, attack).upper == pytest.approx(least, abs=2e-3)


def test_bounds_on_pixels_are_counted():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = np.clip(rng.normal(60 + 120 * y[:, None], 40, (60, 5)), 0, 255).astype(np.uint8)
    attack = CandidateAttack(0.3, 2.0, iterations=150)
    pixels = poisoning_bound(Data(x, y, ("a", "b")), attack, 1.0)
    free = poisoning_bound(Data(x / 255, y, ("a", "b")), attack, 1.0)
    assert pixels.upper < free.upper


def test_an_unconverged_solve_gives_no_bound():
    with pytest.raises(ToadstoneError, match="has not converged"):
        poisoning_bound(table(0), CandidateAttack(0.3, iterations=3))


def test_error_is_the_bound_where_the_loss_is_one_on_the_wrong_side():
    hinge, logistic = (
        poisoning_bound(table(1), CandidateAttack(0.1, 2.0, loss, iterations=500), 1.0)
        for loss in ("hinge", "logistic")
    )
    assert hinge.error == min(1, hinge.upper)
    assert logistic.error == pytest.approx(min(1, logistic.upper / np.log(2)))
    for bound in (hinge, logistic):
        train = table(1)
        margin = (2 * train.y - 1) * (train.x @ bound.theta[:-1] + bound.theta[-1])
        assert (margin <= 0).mean() <= bound.error
