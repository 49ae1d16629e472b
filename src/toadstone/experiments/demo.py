"""The demonstration: a square in the corner of handwritten digits, and one defense of each kind."""

from __future__ import annotations

from toadstone.attacks import Backdoor
from toadstone.data import Splits, load, split
from toadstone.defenses import ActivationClustering, Beatrix, FinePruning, NeuralCleanse, SpectralSignatures, Strip
from toadstone.experiments.experiment import Experiment
from toadstone.models.nets import SmallCNN
from toadstone.training.train import Adam, Train
from toadstone.triggers import Patch


def demo(seed: int = 0) -> tuple[Experiment, Splits]:
    """A backdoor to class 7 in a tenth of the embedded digits' training rows, with 600 trusted rows.

    A showcase, not evidence: fine-pruning's ``lr`` was picked by how it does on these digits, and so was Beatrix on
    the maps of the second convolution, whose flags do not depend on the seed as activation clustering's do. ``rate``
    is the poison's own, since 300 trusted rows in training cannot reveal less than 6.6%.
    """
    experiment = Experiment(
        attack=Backdoor(Patch(size=2), target=7, rate=0.1),
        trainer=Train(SmallCNN(hidden=128), epochs=30, optimizer=Adam(3e-3), batch_size=32),
        defenses=(
            ActivationClustering(),
            SpectralSignatures(),
            Beatrix("features.3"),
            NeuralCleanse(),
            FinePruning(lr=0.01),
            Strip(),
        ),
        seed=seed,
        rate=0.1,
    )
    return experiment, split(load("digits"), test=400, clean=600, seed=seed)
