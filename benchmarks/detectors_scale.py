"""Detectors over a memory map of a million rows: seconds, peak memory, and growth with the number of rows.

1,000,000 x 512 float32 features of 10 classes, 2 GB on disk, 1% of the rows planted in one class, 1,000 further rows
trusted; and the first 100,000 of them. Each detector runs in a process of its own, on one thread. `*_seconds_*` are
its CPU seconds, features read from disk but not computed; `*_peak_gib_*` is the largest resident size of the process,
with the library, PyTorch and the pages of the map that the kernel keeps resident; `*_growth` are the seconds for
1,000,000 rows by those for 100,000 (10 is linear); `*_auroc_*` tells planted rows from others. `seconds_1e5`,
`seconds_1e6` are spectral signatures and activation clustering together, `peak_gib_1e6` the larger of the two.
`deep_knn_*` asks an index for 90% of the 20 nearest of 100,000 rows (`deep_knn_recall`: what it found, on 500 rows
drawn anew).
`ratio_*`: CPU seconds of adversarial-robustness-toolbox 1.20.1 by ours, on the 100,000 rows in memory, in one
process; `detectors.py` checks that both say the same. `ratio_cleanlab_*`: the same for cleanlab's label quality of
1,000,000 rows beside the losses that `LossRanking` ranks by, and for its 20 nearest neighbours of 10,000 rows beside
the exact ones of `DeepKNN`, both by scikit-learn underneath; `cleanlab_difference` and `cleanlab_same_neighbours` say
that the results are equal. `--quick`: a tenth of the rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Precomputed, arguments, finish
from numpy import ndarray
from numpy.lib.format import open_memmap
from sklearn.neighbors import NearestNeighbors

from toadstone import Data
from toadstone.core import Detector
from toadstone.defenses import ActivationClustering, DeepKNN, SpectralSignatures
from toadstone.defenses.data.loss_ranking import losses
from toadstone.defenses.data.neighbours import approximate_neighbours, neighbours
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc

ROWS, WIDTH, CLASSES, TRUSTED, RATE, BLOCK = 1_000_000, 512, 10, 1000, 0.01, 50_000
RECALL, NEAR = 0.9, 20
DETECTORS: dict[str, Detector] = {
    "spectral": SpectralSignatures(),
    "clustering": ActivationClustering(),
    "deep_knn": DeepKNN(NEAR, recall=RECALL),
}


MODEL = Precomputed(tuple(map(str, range(CLASSES))))


def plant(folder: Path, n: int) -> None:
    """Features as after a ReLU layer, trusted rows last, with poison a clear distance from the rest of class 0."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n + TRUSTED)
    truth = np.zeros(len(y), bool)
    truth[rng.choice(np.flatnonzero(y[:n] != 0), round(RATE * n), replace=False)] = True
    means, way = 10 * np.abs(rng.normal(size=(CLASSES, WIDTH))), rng.normal(size=WIDTH)
    way /= np.linalg.norm(way) / 40
    strength = (10 / np.sqrt(1 + np.arange(WIDTH))).astype(np.float32)  # variance falls as in trained nets
    x = open_memmap(folder / "x.npy", "w+", np.float32, (len(y), WIDTH))
    for i in range(0, len(y), BLOCK):
        part = slice(i, i + BLOCK)
        noise = rng.standard_normal((len(y[part]), WIDTH), np.float32) * strength
        x[part] = noise + means[y[part]] + np.outer(truth[part], way)
    x.flush()
    y[truth] = 0
    np.savez(folder / "y.npz", y=y, truth=truth)


def rows(folder: Path, n: int) -> tuple[Data, Data, ndarray]:
    """The first ``n`` rows, the trusted ones, and the truth about the former; nothing is read yet."""
    x, labels = np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npz")
    y, classes = labels["y"], MODEL.classes
    trusted = slice(len(y) - TRUSTED, len(y))
    return Data(x[:n], y[:n], classes), Data(x[trusted], y[trusted], classes), labels["truth"][:n]


def measure(name: str, folder: Path, n: int) -> dict[str, float]:
    """Seconds, peak memory and AUROC of one detector, in this process."""
    data, clean, truth = rows(folder, n)
    start = time.process_time()
    scores = judge(DETECTORS[name], MODEL, data, clean=clean, seed=0)
    figures = {"seconds": time.process_time() - start}
    figures["peak_gib"] = peak()
    figures["auroc"] = auroc(scores.values, truth)
    return figures


def peak() -> float:
    """This process's largest resident size in GiB; getrusage would include its parent's."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**20


def apart(name: str, folder: Path, n: int) -> dict[str, float]:
    """``measure`` in a process of its own, so that its peak is its own."""
    job = [sys.executable, __file__, "--child", name, str(folder), str(n)]
    return json.loads(subprocess.run(job, check=True, capture_output=True, text=True).stdout)  # type: ignore[no-any-return]


def recall_of(folder: Path, n: int) -> float:
    """The share of the nearest rows that the index finds, on rows that its own measure did not draw."""
    x = np.asarray(rows(folder, n)[0].x)
    approximate = approximate_neighbours(x, NEAR, RECALL, seed=0)
    sample = np.random.default_rng(1).permutation(n)[:500]
    exact = NearestNeighbors(n_neighbors=NEAR + 1).fit(x).kneighbors(x[sample], return_distance=False)[:, 1:]
    return float(np.mean([np.isin(e, f).mean() for e, f in zip(exact, approximate[sample], strict=True)]))


def ratios(folder: Path, n: int) -> dict[str, float]:
    """CPU seconds of the peer by ours."""
    from detectors import peer_clustering, peer_spectral, timed  # noqa: PLC0415 (only this needs the peer)

    part = rows(folder, n)[0]
    data = Data(np.asarray(part.x), part.y, part.classes)
    peers = {"spectral": peer_spectral, "clustering": lambda d: peer_clustering(d, "FastICA")}
    figures = {}
    for name, peer in peers.items():
        _, theirs = timed(lambda p=peer: p(data))
        _, ours = timed(lambda d=DETECTORS[name]: d(MODEL, data, clean=None, seed=0))
        figures[f"ratio_{name}"] = theirs / ours
    return figures


def beside_cleanlab(n: int) -> dict[str, float]:
    """CPU seconds of cleanlab by ours, where both do the same."""
    from cleanlab.internal.neighbor.knn_graph import create_knn_graph_and_index  # noqa: PLC0415 (an extra)
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415
    from detectors import timed  # noqa: PLC0415

    rng = np.random.default_rng(0)
    probs, y = rng.dirichlet(np.ones(CLASSES), n), rng.integers(0, CLASSES, n)
    x = rng.standard_normal((10_000, WIDTH), np.float32)
    quality, theirs = timed(lambda: get_label_quality_scores(y, probs))
    loss, ours = timed(lambda: losses(probs, y))
    (graph, _), their_search = timed(lambda: create_knn_graph_and_index(x, n_neighbors=NEAR, metric="euclidean"))
    near, our_search = timed(lambda: neighbours(x, NEAR))
    pairs = zip(graph.indices.reshape(-1, NEAR), near, strict=True)
    return {
        "ratio_cleanlab_label_quality": theirs / ours,
        "cleanlab_difference": float(np.abs(np.exp(-loss) - quality).max()),
        "ratio_cleanlab_neighbours": their_search / our_search,
        "cleanlab_same_neighbours": float(np.mean([np.isin(a, b).mean() for a, b in pairs])),
    }


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
        return
    options = arguments(__doc__)
    most = ROWS // 10 if options.quick else ROWS
    sizes, figures = {"1e5": most // 10, "1e6": most}, {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plant(folder, most)
        for name in DETECTORS:
            for size, n in sizes.items():
                if (name, size) != ("deep_knn", "1e6"):
                    figures |= {f"{name}_{k}_{size}": v for k, v in apart(name, folder, n).items()}
        for name in ("spectral", "clustering"):
            figures[f"{name}_growth"] = figures[f"{name}_seconds_1e6"] / figures[f"{name}_seconds_1e5"]
        figures["deep_knn_recall"] = recall_of(folder, sizes["1e5"])
        figures |= ratios(folder, sizes["1e5"])
    figures |= beside_cleanlab(most)
    for size in sizes:
        figures[f"seconds_{size}"] = sum(figures[f"{name}_seconds_{size}"] for name in ("spectral", "clustering"))
    figures["peak_gib_1e6"] = max(figures[f"{name}_peak_gib_1e6"] for name in ("spectral", "clustering"))
    finish({**figures, "rows": sizes, "quick": options.quick}, options.json)


if __name__ == "__main__":
    main()
