"""What the server's rules cost beside those of byzfl 0.0.11, a library of the same rules, and whether they agree.

CPU seconds of one thread, the least of several runs, for 100 updates of which 20 are malicious, on the same numpy
array of single precision. ``ratio_*`` is byzfl's time over ours. ``max_relative_difference`` is the greatest distance
between the outputs over the length of byzfl's, on 100 updates of 20,000 coordinates; the geometric median is let
run 30 steps there, as the two start at different points.
"""

from collections.abc import Callable

import numpy as np
from common import arguments, byzfl, finish, least_seconds
from numpy import ndarray

from toadstone.defenses.federated.centered_clipping import CenteredClipping
from toadstone.defenses.federated.geometric_median import GeometricMedian
from toadstone.defenses.federated.krum import Krum, MultiKrum
from toadstone.defenses.federated.meamed import Meamed
from toadstone.defenses.federated.mean import Mean
from toadstone.defenses.federated.median import CoordinateMedian
from toadstone.defenses.federated.nnm import NNM
from toadstone.defenses.federated.trimmed_mean import TrimmedMean
from toadstone.maths.gram import gram

CLIENTS, MALICIOUS, NU, TAU = 100, 20, 0.1, 500.0


def rules(quick: bool) -> dict[str, float]:
    """The times, their ratios, the differences of the outputs, and how the times grow with n and d."""
    d = 100_000 if quick else 1_000_000
    updates, narrow = _round(CLIENTS, d), _round(CLIENTS, 100_000)
    figures: dict[str, float] = {"coordinates": d}
    for name, (theirs, ours) in _pairs(MALICIOUS, 3).items():
        rows = narrow if name == "nnm" else updates  # byzfl's copies of n - f rows for each row are 32 GB at 1e6
        figures[f"byzfl_{name}"] = least_seconds(theirs, rows, 2)
        figures[f"seconds_{name}"] = least_seconds(ours, rows, 5)
        figures[f"ratio_{name}"] = figures[f"byzfl_{name}"] / figures[f"seconds_{name}"]
    small = _round(CLIENTS, 20_000)
    differences = {name: _difference(*pair, small) for name, pair in _pairs(MALICIOUS, 30).items()}
    figures |= {f"difference_{name}": value for name, value in differences.items()}
    figures["max_relative_difference"] = max(differences.values())
    figures["seconds_gram"] = least_seconds(gram, updates, 5)
    figures["seconds_floor"] = least_seconds(_whole_product, updates, 5)
    figures["gram_over_floor"] = figures["seconds_gram"] / figures["seconds_floor"]
    return figures | _growth(narrow)


def _growth(updates: ndarray) -> dict[str, float]:
    """The exponents of n and of d: logarithms of base 2 of how many times longer twice as many take."""
    half, exponents = updates.shape[1] // 2, {}
    for name, rule in (("krum", Krum), ("median", lambda f: CoordinateMedian())):
        full = least_seconds(rule(MALICIOUS), updates, 7)
        exponents[f"growth_in_n_{name}"] = np.log2(
            least_seconds(rule(2 * MALICIOUS), _round(2 * CLIENTS, 2 * half), 7) / full
        )
        exponents[f"growth_in_d_{name}"] = np.log2(full / least_seconds(rule(MALICIOUS), updates[:, :half].copy(), 7))
    return {name: float(value) for name, value in exponents.items()}


def _round(n: int, d: int) -> ndarray:
    """Updates of which a fifth are shifted."""
    updates = np.random.default_rng(0).standard_normal((n, d), np.float32)
    updates[: n // 5] += 0.5
    return updates


def _pairs(f: int, steps: int) -> dict[str, tuple[Callable, Callable]]:
    """byzfl's rule and ours, of the same parameters; of byzfl's, one remembers its last answer."""
    a, p = byzfl("aggregators.aggregators", "aggregators.preaggregators")

    def ours(rule: Callable) -> Callable:
        return lambda updates: rule(updates).update

    return {
        "median": (a.Median(), ours(CoordinateMedian())),
        "trimmed_mean": (a.TrMean(f=f), ours(TrimmedMean(f))),
        "meamed": (a.Meamed(f=f), ours(Meamed(f))),
        "krum": (a.Krum(f=f), ours(Krum(f))),
        "multi_krum": (a.MultiKrum(f=f), ours(MultiKrum(f))),
        "geometric_median": (a.GeometricMedian(nu=NU, T=steps), ours(GeometricMedian(steps, NU))),
        "centered_clipping": (a.CenteredClipping(L=5, tau=TAU), ours(CenteredClipping(TAU, 5))),
        "nnm": (lambda u: p.NNM(f=f)(u).mean(0), ours(NNM(f, Mean()))),
    }


def _whole_product(updates: ndarray) -> ndarray:
    return updates @ updates.T


def _difference(theirs: Callable, ours: Callable, updates: ndarray) -> float:
    expected = theirs(updates.copy()).astype(np.float64)
    return float(np.linalg.norm(ours(updates) - expected) / np.linalg.norm(expected))


if __name__ == "__main__":
    options = arguments(__doc__)
    finish(rules(options.quick), options.json)
