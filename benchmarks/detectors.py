"""Activation clustering, spectral signatures and STRIP beside adversarial-robustness-toolbox 1.20.1, one thread.

Detectors: 60,000 x 512 float32 features of 10 classes with large means, 5% of the rows planted in one class. Both
sides get the same features and labels and give a verdict or a score for each row; computing features is not part of
it. Activation clustering reduces to 10 independent components (`_pca`: principal ones), cuts in two and decides by
silhouette. The peer rotates the components and averages the silhouettes of all rows; toadstone leaves the rotation out,
which changes no distance, and averages 1,000 silhouettes a class. The peer starts 2-means once, at random (mean of 3
runs), toadstone 30 times at fixed cuts. The peer gives flags, toadstone scores.
Spectral signatures: the peer finds the direction from centred features but projects uncentred ones, so the scores
differ by more than rounding; each side is checked against a plain SVD of what it computes.

STRIP: 2,000 MNIST images, half with the trigger, 100 blends each, on one small CNN with a softmax. The peer blends
half and half, in a Python loop, and takes the entropy over the blends; toadstone adds images and takes it over the
classes. toadstone's figure includes the 100 images more that calibrate it. Needs `TOADSTONE_DATA`.

`ratio_*` is the peer's CPU seconds by toadstone's (`time.process_time`). Nothing is timed before the results agree
where they should. `--quick`: 20,000 rows of features and 400 images.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import TypeVar
from unittest import mock

import numpy as np
import torch
from common import Precomputed, arguments, finish
from numpy import ndarray
from scipy.stats import entropy
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from toadstone import Data, load, split
from toadstone.attacks import Backdoor
from toadstone.defenses import ActivationClustering, SpectralSignatures, Strip
from toadstone.defenses.data.activation_clustering import cluster_classes
from toadstone.defenses.data.spectral_signatures import spectral_scores
from toadstone.evaluation.judgement import judge
from toadstone.evaluation.rates import auroc
from toadstone.models import TorchModel
from toadstone.training import Train
from toadstone.triggers import Patch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from art.defences.detector.poison.activation_defence import cluster_activations
    from art.defences.detector.poison.clustering_analyzer import ClusteringAnalyzer
    from art.defences.detector.poison.spectral_signature_defense import SpectralSignatureDefense
    from art.defences.transformer.poisoning import STRIP
    from art.estimators.classification import PyTorchClassifier
    from art.estimators.poison_mitigation.strip import strip as peer_strip
    from art.utils import segment_by_class

T = TypeVar("T")
CLASSES, WIDTH, RATE, TARGET, BLENDS, RUNS = 10, 512, 0.05, 7, 100, 3


def planted(n: int) -> tuple[Data, ndarray]:
    """Features as after a ReLU layer, with poison a clear distance from the rest of its class; and the truth."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, n)
    truth = np.zeros(n, bool)
    truth[rng.choice(np.flatnonzero(y != TARGET), round(RATE * n), replace=False)] = True
    y[truth] = TARGET
    spread = np.linspace(3, 0.3, WIDTH)  # a few strong directions, many weak ones
    x = rng.normal(size=(n, WIDTH)) * spread + 10 * np.abs(rng.normal(size=(CLASSES, WIDTH)))[y]
    way = rng.normal(size=WIDTH)
    x += np.outer(truth, 40 * way / np.linalg.norm(way))
    return Data(x.astype(np.float32), y, tuple(map(str, range(CLASSES)))), truth


def timed(job: Callable[[], T]) -> tuple[T, float]:
    """What ``job`` returns, and its CPU seconds."""
    start = time.process_time()
    return job(), time.process_time() - start


def in_rows(by_class: list[ndarray], y: ndarray) -> ndarray:
    """Values given class by class, back in the order of the rows."""
    out = np.empty(len(y))
    for c, values in enumerate(by_class):
        out[y == c] = np.asarray(values, float)
    return out


def peer_clustering(data: Data, reduce: str) -> tuple[list[ndarray], ndarray]:
    """The peer's reduced features, and its flags: the smaller cluster of each class that its report calls suspicious.

    The report, since the flags that it returns hold uninitialised memory wherever a class is suspicious.
    """
    parts = segment_by_class(data.x, data.y, CLASSES)
    clusters, reduced = cluster_activations(parts, nb_clusters=2, nb_dims=10, reduce=reduce)
    report = ClusteringAnalyzer().analyze_by_silhouette_score(clusters, reduced)[2]
    flags = [
        (part == np.bincount(part).argmin()) & report[f"class_{c}"]["suspicious"] for c, part in enumerate(clusters)
    ]
    return reduced, in_rows(flags, data.y)


def check_clustering(data: Data, reduced: list[ndarray], reduction: str) -> None:
    """Our cut of the poisoned class is that of the peer's components, when 2-means gets 20 starts on them."""
    ours = cluster_classes(data.x, data.y, reduction=reduction)[TARGET].assignment
    same = np.mean(ours == KMeans(2, n_init=20, random_state=0).fit_predict(reduced[TARGET]))
    assert max(same, 1 - same) > 0.999, f"the poisoned class is cut differently: {same:.4f}"


def clustering(data: Data, truth: ndarray) -> dict[str, float]:
    """Activation clustering with both reductions; of the peer, whose starts are random, the mean of some runs."""
    figures = {}
    for reduction, reduce, suffix in (("ica", "FastICA", ""), ("pca", "PCA", "_pca")):
        check_clustering(data, peer_clustering(data, reduce)[0], reduction)
        detector, seconds, aurocs = ActivationClustering(reduction=reduction), [], []
        for run in range(RUNS):
            np.random.seed(run)  # noqa: NPY002 (the peer takes no other)
            (_, flags), spent = timed(lambda r=reduce: peer_clustering(data, r))
            seconds.append(spent)
            aurocs.append(auroc(flags, truth))
        scores, ours = timed(lambda d=detector: judge(d, Precomputed(data.classes), data))
        name, peer = f"activation_clustering{suffix}", float(np.mean(seconds))
        figures |= {f"ratio_{name}": peer / ours, f"seconds_{name}": ours, f"seconds_peer_{name}": peer}
        figures |= {f"auroc_{name}": auroc(scores.values, truth), f"auroc_peer_{name}": float(np.mean(aurocs))}
    return figures


def peer_spectral(data: Data) -> ndarray:
    """The peer's scores, in the order of the rows."""
    parts = segment_by_class(data.x, data.y, CLASSES)
    return in_rows([SpectralSignatureDefense.spectral_signature_scores(part)[:, 0] for part in parts], data.y)


def check_spectral(data: Data) -> None:
    """On the first 3,000 rows each side is what a plain SVD says of it: ours centred and squared, the peer's not."""
    few = data.take(np.arange(3000))
    centred, uncentred = np.empty(3000), np.empty(3000)
    for c in range(CLASSES):
        part = few.x[few.y == c].astype(np.float64)
        v = np.linalg.svd(part - part.mean(0), full_matrices=False)[2][0]
        centred[few.y == c], uncentred[few.y == c] = ((part - part.mean(0)) @ v) ** 2, np.abs(part @ v)
    np.testing.assert_allclose(spectral_scores(few.x, few.y), centred, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(peer_spectral(few), uncentred, rtol=1e-2, atol=1e-1)  # the peer's SVD is float32


def spectral(data: Data, truth: ndarray) -> dict[str, float]:
    """Spectral signatures."""
    check_spectral(data)
    detector = SpectralSignatures()
    theirs, peer = timed(lambda: peer_spectral(data))
    scores, ours = timed(lambda: judge(detector, Precomputed(data.classes), data, seed=0))
    name = "spectral_signatures"
    figures = {f"ratio_{name}": peer / ours, f"seconds_{name}": ours, f"seconds_peer_{name}": peer}
    return figures | {f"auroc_{name}": auroc(scores.values, truth), f"auroc_peer_{name}": auroc(theirs, truth)}


def victim(n: int) -> tuple[TorchModel, ndarray, ndarray, Data]:
    """A backdoored model, ``n`` images of which the second half is triggered, and clean images it never saw."""
    splits = split(load("mnist"), train=10_000, test=n // 2, clean=2 * BLENDS, seed=0)
    poison = Backdoor(Patch(size=3), target=TARGET, rate=RATE).poison(splits.train, seed=0)
    model = Train(epochs=3).fit(poison.apply(splits.train), seed=0)
    inputs = np.concatenate([splits.test.x, Patch(size=3)(np.asarray(splits.test.x), seed=0)])
    return model, inputs, np.arange(n) >= n // 2, splits.clean


def peer_entropies(model: TorchModel, inputs: ndarray, clean: Data) -> tuple[ndarray, float]:
    """The peer's entropy of each input, caught as it computes them, and its CPU seconds."""
    net = torch.nn.Sequential(model.net, torch.nn.Softmax(1))
    classifier = PyTorchClassifier(net, torch.nn.NLLLoss(), (1, 28, 28), CLASSES, device_type="cpu")
    guarded = STRIP(classifier)(num_samples=BLENDS)
    x, trusted = (model.encode(np.asarray(rows)).numpy() for rows in (inputs, clean.x))
    entropies = []

    def record(*args: ndarray, **settings: int) -> ndarray:
        entropies.append(entropy(*args, **settings))
        return entropies[-1]

    with mock.patch.object(peer_strip, "entropy", record):
        guarded.mitigate(trusted[:BLENDS])
        entropies.clear()
        _, seconds = timed(lambda: guarded.predict(x))
    return np.array([e.sum() / BLENDS for e in entropies]), seconds


def check_strip(model: TorchModel, inputs: ndarray) -> None:
    """Both sides ask the same model: the peer's input has the same probabilities."""
    net = torch.nn.Sequential(model.net, torch.nn.Softmax(1))
    with torch.inference_mode():
        theirs = net(model.encode(inputs[:50])).numpy()
    np.testing.assert_allclose(model.probs(inputs[:50]), theirs, atol=1e-5)


def strip(n: int) -> dict[str, float]:
    """STRIP on ``n`` images."""
    model, inputs, truth, clean = victim(n)
    check_strip(model, inputs)
    theirs, peer = peer_entropies(model, inputs, clean)
    monitor = Strip(blends=BLENDS)
    scores, ours = timed(lambda: monitor.watch(model, inputs, clean=clean, seed=0))
    figures = {"ratio_strip": peer / ours, "seconds_strip": ours, "seconds_peer_strip": peer}
    return figures | {"auroc_strip": auroc(scores.values, truth), "auroc_peer_strip": auroc(-theirs, truth)}


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # FastICA that has not converged, deprecations in the peer
    with threadpool_limits(1):
        data, truth = planted(20_000 if options.quick else 60_000)
        figures = clustering(data, truth) | spectral(data, truth) | strip(400 if options.quick else 2000)
    finish(figures, options.json)


if __name__ == "__main__":
    main()
