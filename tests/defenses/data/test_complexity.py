import itertools
import math

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree

from toadstone.data import load
from toadstone.defenses.data import complexity as c
from toadstone.errors import ToadstoneError


def problem(seed, k=2, n=40, d=3):
    """Overlapping blobs of unequal sizes, whose distances do not tie."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k).repeat(4), rng.integers(0, k, n - 4 * k) // rng.integers(1, 3)])
    return rng.normal(size=(n, d)) * [1, 10, 0.1] + 1.5 * y[:, None] * [1, 0, 0.1], y


def slow_gower(x):
    n, d = x.shape
    out = np.zeros((n, n))
    for i, j, f in itertools.product(range(n), range(n), range(d)):
        out[i, j] += abs(x[i, f] - x[j, f]) / (max(x[:, f]) - min(x[:, f])) / d
    return out


def slow_f1(x, y):
    ratios = []
    for f in range(x.shape[1]):
        over = sum(sum(y == a) * (x[y == a, f].mean() - x[:, f].mean()) ** 2 for a in set(y))
        under = sum((x[i, f] - x[y == y[i], f].mean()) ** 2 for i in range(len(y)))
        ratios.append(over / under)
    return 1 / (1 + max(ratios))


def slow_f1v(x, y):
    found = []
    for a, b in itertools.combinations(sorted(set(y)), 2):
        one, two = x[y == a], x[y == b]
        within = np.zeros((x.shape[1],) * 2)
        for part in (one, two):
            cov = sum(np.outer(r - part.mean(0), r - part.mean(0)) for r in part) / (len(part) - 1)
            within += len(part) / (len(one) + len(two)) * cov
        gap = one.mean(0) - two.mean(0)
        line = np.linalg.solve(within, gap)
        found.append(1 / (1 + (line @ np.outer(gap, gap) @ line) / (line @ within @ line)))
    return np.mean(found)


def slow_f3(x, y):
    found = []
    for a, b in itertools.combinations(sorted(set(y)), 2):
        shares = []
        for f in range(x.shape[1]):
            one, two = x[y == a, f], x[y == b, f]
            low, high = max(min(one), min(two)), min(max(one), max(two))
            shares.append(sum(low <= v <= high for v in [*one, *two]) / (len(one) + len(two)))
        found.append(min(shares))
    return np.mean(found)


def slow_n1(distance, y):
    tree = minimum_spanning_tree(distance).tocoo()
    return len({int(i) for a, b in zip(tree.row, tree.col, strict=True) if y[a] != y[b] for i in (a, b)}) / len(y)


def others(i, y, same):
    return [j for j in range(len(y)) if j != i and (y[j] == y[i]) == same]


def slow_n2(distance, y):
    friend = sum(min(distance[i, j] for j in others(i, y, True)) for i in range(len(y)))
    enemy = sum(min(distance[i, j] for j in others(i, y, False)) for i in range(len(y)))
    return (friend / enemy) / (1 + friend / enemy)


def slow_n3(distance, y):
    wrong = 0
    for i in range(len(y)):
        near = min((distance[i, j], j) for j in range(len(y)) if j != i)[1]
        wrong += y[near] != y[i]
    return wrong / len(y)


def slow_t1(distance, y):
    def enemy(i):
        return min((distance[i, j], j) for j in others(i, y, False))[1]

    def radius(i):
        e = enemy(i)
        return distance[i, e] / 2 if enemy(e) == i else distance[i, e] - radius(e)

    r = [radius(i) for i in range(len(y))]
    kept = 0
    for i in range(len(y)):
        inside = [j for j in range(len(y)) if j != i and distance[i, j] + r[i] <= r[j] + 1e-12]
        kept += not inside
    return kept / len(y)


def slow_lsc(distance, y):
    sets = [[j for j in range(len(y)) if distance[i, j] < min(distance[i, e] for e in others(i, y, False))]
            for i in range(len(y))]  # fmt: skip
    return 1 - sum(map(len, sets)) / len(y) ** 2


def slow_graph(distance, y):
    pairs = itertools.combinations(range(len(y)), 2)
    return {frozenset((i, j)) for i, j in pairs if distance[i, j] < 0.15 and y[i] == y[j]}


def slow_density(distance, y):
    return 1 - 2 * len(slow_graph(distance, y)) / (len(y) * (len(y) - 1))


def slow_clustering(distance, y):
    edges, total = slow_graph(distance, y), 0.0
    for i in range(len(y)):
        near = [j for j in range(len(y)) if frozenset((i, j)) in edges and j != i]
        closed = [pair for pair in itertools.combinations(near, 2) if frozenset(pair) in edges]
        total += 2 * len(closed) / (len(near) * (len(near) - 1)) if len(near) > 1 else 0
    return 1 - total / len(y)


def slow_c1(y):
    share = [list(y).count(a) / len(y) for a in set(y)]
    return 1 + sum(p * math.log(p) for p in share) / math.log(len(share))


def slow_c2(y):
    counts = [list(y).count(a) for a in set(y)]
    return 1 - 1 / ((len(counts) - 1) / len(counts) * sum(m / (len(y) - m) for m in counts))


@pytest.mark.parametrize(("seed", "k"), [(0, 2), (1, 2), (2, 2), (3, 3), (4, 3), (5, 4)])
def test_every_measure_is_that_of_its_definition(seed, k):
    x, y = problem(seed, k)
    distance = slow_gower(x)
    slow = {
        "F1": slow_f1(x, y),
        "F1v": slow_f1v(x, y),
        "F3": slow_f3(x, y),
        "N1": slow_n1(distance, y),
        "N2": slow_n2(distance, y),
        "N3": slow_n3(distance, y),
        "T1": slow_t1(distance, y),
        "LSC": slow_lsc(distance, y),
        "Density": slow_density(distance, y),
        "ClsCoef": slow_clustering(distance, y),
        "C1": slow_c1(y),
        "C2": slow_c2(y),
    }
    fast = c.complexity(x, y)
    assert tuple(fast) == c.MEASURES
    assert fast == pytest.approx(slow, abs=1e-9)
    assert c.complexity(x, 7 - 2 * y) == pytest.approx(fast)  # names of classes do not matter


def test_by_hand():
    """Classes at 0, 1, 3 and 4, 8: one row near the other class."""
    x, y = np.array([[0.0], [1.0], [3.0], [4.0], [8.0]]), np.array([0, 0, 0, 1, 1])
    d = c.gower(x) * 8  # Gower's distance is the difference over the range
    assert d[0].tolist() == [0, 1, 3, 4, 8]
    assert c.n1(d, y) == 2 / 5  # the edge from 3 to 4
    assert c.n2(d, y) == pytest.approx(12 / (12 + 14))  # friends 1 1 2 4 4, enemies 4 3 1 1 5
    assert c.n3(d, y) == 2 / 5  # 3 and 4
    # radii: 3 and 4 touch at 0.5; 0 and 1 reach the same place, 3.5 and 2.5; 8 has 5 - 0.5. The spheres of 1,
    # [-1.5, 3.5], and 3, [2.5, 3.5], lie in that of 0, [-3.5, 3.5]; that of 4, [3.5, 4.5], in that of 8, [3.5, 12.5]
    assert c.t1(d, y) == 2 / 5
    assert c.lsc(d, y) == pytest.approx(1 - (3 + 3 + 1 + 1 + 2) / 25)
    assert c.f3(x, y) == 0.0
    assert c.f3(np.array([[0.0], [2.0], [5.0], [4.0], [8.0]]), y) == 2 / 5  # 4 and 5
    graph = c.near_graph(d / 8, y)
    assert graph.sum() == 2  # 0 and 1 alone are of one class and nearer than 0.15 * 8
    assert c.density(graph) == 0.9
    assert c.clustering(graph) == 1.0
    assert c.f1(x, y) == pytest.approx(1 / (1 + (3 * (4 / 3 - 3.2) ** 2 + 2 * (6 - 3.2) ** 2) / (14 / 3 + 8)))
    assert [c.c1(np.repeat([0, 1, 2], 5)), c.c2(np.repeat([0, 1, 2], 5))] == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize("d", [5, 30])
def test_the_directional_ratio_takes_the_pseudo_inverse_where_columns_are_many_or_repeat(d):
    x, y = problem(0, d=3, n=24)
    rng = np.random.default_rng(0)
    wide = np.column_stack([x, x[:, :1] + x[:, 1:2], rng.normal(size=(24, d - 4))])
    one, two = wide[y == 0], wide[y == 1]
    within = len(one) / 24 * np.cov(one.T) + len(two) / 24 * np.cov(two.T)
    gap = one.mean(0) - two.mean(0)
    line = np.linalg.pinv(within, rcond=1e-8) @ gap
    assert c.f1v(wide, y) == pytest.approx(1 / (1 + (line @ gap) ** 2 / (line @ within @ line)))


def test_a_triangle_is_clustered_and_a_path_is_not():
    path = np.zeros((4, 4), bool)
    path[[0, 1, 1, 2], [1, 0, 2, 1]] = True
    assert c.clustering(path) == 1
    path[[0, 2], [2, 0]] = True
    assert c.clustering(path) == 0.25  # the fourth row has no neighbours


def test_any_distance_will_do_and_gower_knows_no_units():
    x, y = problem(0)
    assert c.gower(x * [1, 1e6, -3] + 5) == pytest.approx(c.gower(x))
    wide = np.linalg.norm(x[:, None] - x, axis=2)
    for fast, slow in ((c.n1, slow_n1), (c.n2, slow_n2), (c.n3, slow_n3), (c.t1, slow_t1), (c.lsc, slow_lsc)):
        assert fast(wide, y) == pytest.approx(slow(wide, y))


def test_wrong_labels_make_a_problem_harder():
    digits = load("digits").take(np.arange(400))
    clean = c.complexity(digits.x, digits.y)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = rng.choice(400, 40, replace=False)
        y = digits.y.copy()
        y[rows] = (y[rows] + rng.integers(1, 10, 40)) % 10
        dirty = c.complexity(digits.x, y)
        for name in ("F1", "F1v", "F3", "N1", "N2", "N3", "LSC", "Density", "ClsCoef"):
            assert dirty[name] > clean[name], name
        assert dirty["T1"] >= clean["T1"] > 0.99  # in 64 dimensions hardly a sphere lies in another


def test_constant_columns_say_nothing_and_equal_rows_are_no_trouble():
    x, y = problem(0)
    wider = np.column_stack([x, np.full(len(x), 7.0)])
    assert c.complexity(wider, y) == pytest.approx(c.complexity(x, y))
    twice = c.complexity(np.concatenate([x, x]), np.concatenate([y, y]))
    assert twice["N2"] == twice["N3"] == 0
    assert twice["T1"] == pytest.approx(c.complexity(x, y)["T1"] / 2)  # of two equal spheres one remains
    apart = c.complexity(np.concatenate([x, x]), np.concatenate([y, 1 - y]))
    assert apart["N1"] == 1
    assert (apart["N2"], apart["LSC"], apart["T1"]) == (1, 1, 1)
    four = c.gower(np.array([[0.0], [0], [0], [0], [1], [1], [1], [1]]))
    assert c.n2(four, np.array([0, 0, 1, 1] * 2)) == 0.5


def test_a_column_that_is_constant_within_each_class_separates_them():
    y = np.array([0, 0, 1, 1])
    assert c.f1(y[:, None] * 1.0, y) == 0
    assert c.f3(y[:, None] * 1.0, y) == 0
    assert c.f3(np.array([[0.0], [1], [0], [1]]), y) == 1


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        (np.ones((4, 2)), np.array([0, 0, 1, 1]), "constant"),
        (np.eye(4), np.zeros(4, int), "single class"),
        (np.eye(4), np.array([0, 0, 0, 1]), "one row of class 1"),
        (np.eye(4), np.array([0, 0, 1]), "one integer for each of the 4 rows"),
        (np.array(["a", "b", "c", "d"], object), np.array([0, 0, 1, 1]), "text"),
        (np.array([[np.nan], [1], [2], [3]]), np.array([0, 0, 1, 1]), "NaN"),
        (np.arange(20_001.0)[:, None], np.arange(20_001) % 2, "sample of 20000"),
    ],
)
def test_bad_input(x, y, word):
    with pytest.raises(ToadstoneError, match=word):
        c.complexity(x, y)


def test_images_are_flattened():
    digits = load("digits").take(np.arange(60))
    assert c.complexity(digits.x, digits.y) == c.complexity(digits.x.reshape(60, -1), digits.y)


def test_labels_that_are_no_integers_and_a_matrix_that_is_not_square():
    with pytest.raises(ToadstoneError, match="one integer"):
        c.check_labels(np.eye(4), np.array([0.0, 0, 1, 1]))
    with pytest.raises(ToadstoneError, match="square"):
        c._check_distances(np.zeros((4, 3)), np.array([0, 0, 1, 1]))
