"""`toadstone labels`: which detector finds the wrong labels in a set whose true ones are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toadstone.cli.attack import Label, Source, TextColumn
from toadstone.cli.options import Json, Seed, built, echo_json

if TYPE_CHECKING:
    from toadstone.core import Detector


def labels(
    data: Source,
    given: Annotated[Path, typer.Argument(help="File of the labels given: .npy, or one a line.")],
    true: Annotated[Path, typer.Argument(help="File of the true labels, in the same order.")],
    trainer: Annotated[str, typer.Option(help="JSON spec of a trainer, or a file that holds one.")] = '{"name": "fit"}',
    trusted: Annotated[int, typer.Option(help="Rows drawn at random whose label somebody has verified.")] = 500,
    fdr: Annotated[float, typer.Option(help="Share of false alarms among the flagged rows, in (0, 1).")] = 0.05,
    label: Label = None,
    text: TextColumn = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare detectors of wrong labels on a data set whose labels given and true labels are both known.

    Example: `toadstone labels spambase given.txt true.txt --trusted 1000`
    """
    from toadstone.data import load
    from toadstone.defenses import ConfidentLearning, DeepKNN, LossRanking
    from toadstone.experiments.label_noise import judge_labels, read_labels

    make = built(trainer, "trainer")
    rows = load(data, label=label, text=text)
    detectors: dict[str, Detector] = {
        "deep-knn": DeepKNN(),
        "loss-ranking": LossRanking(),
        "confident-learning": ConfidentLearning(make),
    }
    wrong, right = (read_labels(path, rows.classes) for path in (given, true))
    found = judge_labels(rows, wrong, right, make, detectors, trusted=trusted, fdr=fdr, seed=seed)
    if as_json:
        echo_json(found)
        return
    from toadstone.cli.tables import table
    from toadstone.cli.tables import text as say

    about = found.pop("labels")
    say(f"{about['wrong']:.1%} of the labels given are wrong; {about['trusted']:.0f} rows are trusted.")
    table(
        ("detector", "AUROC", "wrong found", "right among flagged", "flagged", "CPU s"),
        [
            [
                name,
                f"{r['auroc']:.3f}",
                f"{r['tpr']:.1%}",
                f"{r['fdr']:.1%}",
                f"{r['flagged']:.0f}",
                f"{r['seconds']:.1f}",
            ]
            for name, r in found.items()
        ],
    )
