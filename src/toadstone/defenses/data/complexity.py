"""How complex is your classification problem? Lorena, Garcia, Lehmann, Souto & Ho, ACM CSUR 52(5), 2019,
arXiv:1808.03591.

Each measure is larger for a harder problem. F1, F1v and F3 read the columns; N1, N2, N3, T1 and LSC the distances
between rows; Density and ClsCoef a graph of near rows; C1 and C2 the sizes of the classes. Distances are Gower's, as
in the survey, but any square matrix of distances will do. F1v and F3 average over the pairs of classes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Integer, Real
from numpy import ndarray
from scipy.spatial.distance import cdist

from toadstone.errors import ToadstoneError
from toadstone.overlay import Rows
from toadstone.rows import check_rows

MEASURES = ("F1", "F1v", "F3", "N1", "N2", "N3", "T1", "LSC", "Density", "ClsCoef", "C1", "C2")
"""The names of the measures, in the order of ``complexity``."""

_MOST = 20_000  # rows: their distances take 3 GB
_NEAR = 0.15  # rows at less than this Gower distance are joined in the graph of Density and ClsCoef
_ROUNDING = 1e-12  # Gower's distances are often exactly additive, so that spheres touch from within
_SINGULAR = 1e-8  # a direction with less than this share of the largest variance is rounding, not spread

Columns = Real[ndarray, "n d"]
Distances = Float64[ndarray, "n n"]
Labels = Integer[ndarray, " n"]


def complexity(x: Rows, y: Labels) -> dict[str, float]:
    """All measures of rows ``x``, flattened, with the labels ``y``, by name. Columns that are constant say nothing
    and are left out.

    Raises ToadstoneError for text, NaN, lengths that differ, fewer than two classes, a class of a single row, columns
    that are all constant, more than 20,000 rows.

    >>> measures = complexity(np.array([[0.0], [1.0], [2.0], [6.0], [7.0], [8.0]]), np.array([0, 0, 0, 1, 1, 1]))
    >>> {name: round(value, 3) for name, value in measures.items() if value}  # doctest: +NORMALIZE_WHITESPACE
    {'F1': 0.069, 'F1v': 0.027, 'N1': 0.333, 'N2': 0.167, 'T1': 0.333, 'LSC': 0.5, 'Density': 0.733, 'ClsCoef': 1.0}
    """
    columns = varying(x)
    check_labels(columns, y)
    distance = gower(columns)
    graph = near_graph(distance, y)
    return {
        "F1": f1(columns, y),
        "F1v": f1v(columns, y),
        "F3": f3(columns, y),
        "N1": n1(distance, y),
        "N2": n2(distance, y),
        "N3": n3(distance, y),
        "T1": t1(distance, y),
        "LSC": lsc(distance, y),
        "Density": density(graph),
        "ClsCoef": clustering(graph),
        "C1": c1(y),
        "C2": c2(y),
    }


def varying(x: Rows) -> Float64[ndarray, "n d"]:
    """The rows flattened, without the columns that are constant. Raises ToadstoneError when none is left."""
    check_rows(x)
    if x.dtype == object:
        raise ToadstoneError("x holds text: measure the columns of its features instead.")
    columns = np.asarray(x[:], np.float64).reshape(len(x), -1)
    varied = np.ptp(columns, 0) > 0
    if not varied.any():
        raise ToadstoneError("x has only constant columns: rows that are all the same make no problem to measure.")
    return columns[:, varied]


def check_labels(x: ndarray, y: ndarray) -> None:
    """Raise ToadstoneError unless each row of ``x`` has a label, of two classes or more, each of two rows or more."""
    if y.dtype.kind not in "iu" or len(x) != len(y):
        raise ToadstoneError(f"y must hold one integer for each of the {len(x)} rows.")
    names, counts = np.unique(y, return_counts=True)
    if len(names) < 2:
        raise ToadstoneError("y holds a single class; complexity needs rows of at least two.")
    if counts.min() < 2:
        raise ToadstoneError(f"y has one row of class {names[counts.argmin()]}: each class needs two, or leave it out.")


def scaled(x: Columns) -> Float64[ndarray, "n d"]:
    """Varying columns by their range and number, so that Gower's distance is the sum of absolute differences."""
    columns = varying(x)
    out: ndarray = (columns - columns.min(0)) / np.ptp(columns, 0) / columns.shape[1]
    return out


def gower(x: Columns) -> Distances:
    """The distance of each pair of rows: the mean over varying columns of |difference| / range, in [0, 1]."""
    if len(x) > _MOST:
        raise ToadstoneError(
            f"x has {len(x)} rows, whose distances would not fit: measure a sample of {_MOST} or fewer."
        )
    columns = scaled(x)
    out: ndarray = cdist(columns, columns, "cityblock")
    return out


def f1(x: Columns, y: Labels) -> float:
    """Maximum Fisher's discriminant ratio: 1 / (1 + max_j r_j), with r_j the scatter of column j's class means about
    its mean, weighted by the classes' sizes, over the scatter within the classes."""
    check_labels(x, y)
    columns = varying(x)
    names, at, counts = np.unique(y, return_inverse=True, return_counts=True)
    means = np.stack([columns[at == c].mean(0) for c in range(len(names))])
    between = (counts[:, None] * (means - columns.mean(0)) ** 2).sum(0)
    within = ((columns - means[at]) ** 2).sum(0)
    return float((within / (within + between)).min())


def f1v(x: Columns, y: Labels) -> float:
    """Directional-vector Fisher's ratio: 1 / (1 + dBd / dWd) along d = W^+ (m_1 - m_2), with W the classes'
    covariances weighted by their shares and B = (m_1 - m_2)(m_1 - m_2)^T."""
    check_labels(x, y)
    columns = np.asarray(x, np.float64)
    return float(np.mean([_f1v(columns[y == a], columns[y == b]) for a, b in _pairs(y)]))


def _f1v(a: ndarray, b: ndarray) -> float:
    """dBd is the square of gap W^+ gap, and dWd is gap W^+ gap itself. W = root^T root, of which the smaller Gram
    matrix is taken apart."""
    gap = a.mean(0) - b.mean(0)
    weights = [np.sqrt(len(part) / (len(a) + len(b)) / (len(part) - 1)) for part in (a, b)]
    root = np.concatenate([w * (part - part.mean(0)) for w, part in zip(weights, (a, b), strict=True)])
    wide = len(root) < len(gap)
    value, vector = np.linalg.eigh(root @ root.T if wide else root.T @ root)
    proper = value > _SINGULAR * value[-1]
    along = (vector[:, proper].T @ (root @ gap if wide else gap)) ** 2 / value[proper] ** (2 if wide else 1)
    return float(1 / (1 + along.sum()))


def f3(x: Columns, y: Labels) -> float:
    """Maximum individual feature efficiency: the share of rows that lie where both classes have values, in the column
    where it is least. The ends of the overlap belong to it: a column of 0 and 1 in both classes tells none apart."""
    check_labels(x, y)
    columns = np.asarray(x, np.float64)
    shares = []
    for a, b in _pairs(y):
        first, second, both = columns[y == a], columns[y == b], columns[(y == a) | (y == b)]
        low, high = np.maximum(first.min(0), second.min(0)), np.minimum(first.max(0), second.max(0))
        shares.append(((both >= low) & (both <= high)).mean(0).min())
    return float(np.mean(shares))


def n1(distance: Distances, y: Labels) -> float:
    """Borderline points: the share of rows with an edge to another class in the minimum spanning tree. Where
    distances tie there are several trees; that of Prim's algorithm from row 0 is taken."""
    _check_distances(distance, y)
    child, parent = _spanning_tree(distance)
    crossing = y[child] != y[parent]
    return len(np.union1d(child[crossing], parent[crossing])) / len(y)


def _spanning_tree(distance: Distances) -> tuple[Int[ndarray, " m"], Int[ndarray, " m"]]:
    """Prim's algorithm, which, unlike a sparse graph's, takes a distance of 0 for an edge."""
    n = len(distance)
    reach, parent = distance[0].copy(), np.zeros(n, int)
    out = np.ones(n, bool)
    out[0] = False
    for _ in range(n - 1):
        new = int(np.where(out, reach, np.inf).argmin())
        out[new] = False
        nearer = out & (distance[new] < reach)
        reach[nearer], parent[nearer] = distance[new][nearer], new
    return np.arange(1, n), parent[1:]


def nearest(distance: Distances, y: Labels) -> tuple[Float64[ndarray, " n"], Float64[ndarray, " n"]]:
    """The distance of each row to the nearest other row of its class, and to the nearest of another class."""
    _check_distances(distance, y)
    same = y[:, None] == y
    enemy = np.where(same, np.inf, distance).min(1)
    np.fill_diagonal(same, False)
    return np.where(same, distance, np.inf).min(1), enemy


def n2(distance: Distances, y: Labels) -> float:
    """Ratio r of the summed distances to the nearest row of the same class and of another: r / (1 + r). Where both
    sums are 0, as each row has equals in both, it is 1/2."""
    friend, enemy = (distances.sum() for distances in nearest(distance, y))
    return float(friend / (friend + enemy)) if friend + enemy else 0.5


def n3(distance: Distances, y: Labels) -> float:
    """The leave-one-out error of the nearest neighbour; the first of them where distances tie."""
    _check_distances(distance, y)
    others = distance + np.diag(np.full(len(y), np.inf))
    return float((y[others.argmin(1)] != y).mean())


def t1(distance: Distances, y: Labels) -> float:
    """The share of rows whose sphere remains. Spheres grow until those of two classes touch; one that lies inside
    another is removed.

    With e the nearest row of another class, the radius of row i is d(i, e) / 2 where i is also e's nearest, and else
    d(i, e) less the radius of e.
    """
    radius = _radii(distance, y)
    order = np.argsort(-radius, kind="stable")
    gap, same = radius[order][:, None] - radius[order], y[order][:, None] == y[order]
    inside = same & (distance[order][:, order] <= gap + _ROUNDING)  # [i, j]: sphere j lies in sphere i
    return float(1 - np.triu(inside, 1).any(0).mean())


def _radii(distance: Distances, y: Labels) -> Float64[ndarray, " n"]:
    _check_distances(distance, y)
    enemies = np.where(y[:, None] == y, np.inf, distance)
    enemy, gap = enemies.argmin(1), enemies.min(1)
    radius: ndarray = gap / 2
    for i in np.argsort(gap, kind="stable"):  # e's gap is never larger than i's: its radius is known
        if gap[enemy[i]] < gap[i]:
            radius[i] = gap[i] - radius[enemy[i]]
    return radius


def lsc(distance: Distances, y: Labels) -> float:
    """Local set average cardinality: 1 - the number of pairs (i, j) with j nearer to i than i's nearest row of
    another class, j = i included, over n^2."""
    _, enemy = nearest(distance, y)
    return float(1 - (distance < enemy[:, None]).sum() / len(y) ** 2)


def near_graph(distance: Distances, y: Labels) -> Bool[ndarray, "n n"]:
    """Which rows are joined: those of one class at a distance below 0.15."""
    _check_distances(distance, y)
    graph: ndarray = (distance < _NEAR) & (y[:, None] == y) & ~np.eye(len(y), dtype=bool)
    return graph


def density(graph: Bool[ndarray, "n n"]) -> float:
    """1 - the share of pairs of rows that are joined."""
    n = len(graph)
    return float(1 - graph.sum() / (n * (n - 1)))


def clustering(graph: Bool[ndarray, "n n"]) -> float:
    """1 - the mean over rows of the share of pairs of their neighbours that are joined; 0 for rows with fewer than
    two neighbours."""
    links = graph.astype(np.float32)  # exact: counts stay far below 2^24
    degree = links.sum(1, dtype=np.float64)
    closed = (links @ links * links).sum(1, dtype=np.float64)
    pairs = degree * (degree - 1)
    return float(1 - np.divide(closed, pairs, out=np.zeros(len(graph)), where=pairs > 0).mean())


def c1(y: Labels) -> float:
    """1 - the entropy of the classes' shares over its maximum: 0 for classes of equal size.

    >>> round(c1(np.array([0, 0, 0, 1])), 4)
    0.1887
    """
    share = _shares(y)
    return float(max(0.0, 1 + (share * np.log(share)).sum() / np.log(len(share))))


def c2(y: Labels) -> float:
    """1 - 1 / IR with the imbalance ratio IR = (k - 1) / k * sum of n_c / (n - n_c): 0 for classes of equal size.

    >>> round(c2(np.array([0, 0, 0, 1])), 4)
    0.4
    """
    share = _shares(y)
    ratio = (len(share) - 1) / len(share) * (share / (1 - share)).sum()
    return float(max(0.0, 1 - 1 / ratio))


def _shares(y: Labels) -> Float[ndarray, " k"]:
    counts = np.unique(y, return_counts=True)[1]
    if len(counts) < 2:
        raise ToadstoneError("y holds a single class; complexity needs rows of at least two.")
    share: ndarray = counts / counts.sum()
    return share


def _pairs(y: Labels) -> list[tuple[int, int]]:
    return list(combinations(np.unique(y).tolist(), 2))


def _check_distances(distance: ndarray, y: ndarray) -> None:
    check_labels(distance, y)
    if distance.shape != (len(y), len(y)):
        raise ToadstoneError(f"distance of shape {distance.shape} must be square, a row and a column for each label.")
