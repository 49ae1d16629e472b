"""Which detector sees what

Scores of training rows by fourteen detectors: of rows whose label somebody got wrong, and of rows that carry a
trigger. A wrong label is hard to fit and has neighbours of another class; a trigger that is learnt is easy to fit, and
what finds it looks at the class as a whole or at what its rows share, or blends the row with others. Grey is the rest;
scores are drawn by rank, and the number is the area under the ROC curve (0.5 is chance).
(arXiv 1911.00068 2110.11571 1909.13374 2002.08484 1911.08040 2210.06516 2301.10908 1811.03728 1811.00636 2104.11315
2209.11715 1902.06531)
"""

from pathlib import Path

import altair as alt
import numpy as np
from scipy.stats import rankdata

from toadstone import Data, defenses, judge, load, split
from toadstone.attacks import Backdoor
from toadstone.evaluation.rates import auroc
from toadstone.models import SmallCNN
from toadstone.training import Adam, Fit, Train
from toadstone.triggers import Patch

DETECTORS = {
    "confident learning": defenses.ConfidentLearning(Fit()),
    "loss": defenses.LossRanking(),
    "deep k-NN": defenses.DeepKNN(20),
    "self-influence": defenses.SelfInfluence(),
    "gradient clustering": defenses.GradientClustering(),
    "Meta-Sift": defenses.MetaSift(Train(SmallCNN(8, 64), 2, Adam(3e-3), batch_size=32)),
    "cognitive distillation": defenses.CognitiveDistillation(steps=50),
    "activation clustering": defenses.ActivationClustering(),
    "spectral signatures": defenses.SpectralSignatures(),
    "SPECTRE": defenses.Spectre(),
    "Beatrix": defenses.Beatrix("features.3"),
    "shared content": defenses.SharedContent(),
    "neighbourhood": defenses.Neighbourhood(),
    "STRIP": defenses.StripRows(50),
}
HEADER = alt.Header(labelAngle=0, labelAlign="left", labelOrient="left", labelLimit=0)
QUICK = ("loss", "gradient clustering", "spectral signatures")


def cases(parts, seed: int) -> dict[str, tuple[Data, np.ndarray]]:
    """Training rows and which of them are changed, by what was done."""
    train, draw = parts.train, np.random.default_rng(seed)
    poison = Backdoor(Patch(size=2), 7, 0.05).poison(train, seed=seed)
    wrong = draw.random(len(train)) < 0.05
    y = np.where(wrong, (train.y + draw.integers(1, 10, len(wrong))) % 10, train.y)
    triggered = poison.apply(train), poison.mask(len(train))
    return {"5% wrong labels": (Data(train.x, y, train.classes), wrong), "5% carry a trigger": triggered}


def figure(quick: bool = False) -> alt.Chart:
    """A strip of ranks for each detector and each change."""
    parts = split(load("digits"), test=100, clean=200, seed=0)
    trainer = Train(SmallCNN(8, 64), 2 if quick else 12, Adam(3e-3), batch_size=32)
    panels = []
    for what, (data, truth) in cases(parts, 0).items():
        model, rows = trainer.fit(data.append(parts.clean), seed=0), []
        for name in QUICK if quick else DETECTORS:
            scores = judge(DETECTORS[name], model, data, clean=parts.clean, seed=0).values
            title = f"{name}  {auroc(scores, truth):.2f}"
            for kind, mask in (("changed", truth), ("the rest", ~truth)):
                ranks = rankdata(scores)[mask] / len(scores)
                shares = np.histogram(ranks, bins=20, range=(0, 1), weights=np.full(mask.sum(), 1 / mask.sum()))[0]
                steps = enumerate(shares.round(4).tolist())
                rows += [{"detector": title, "kind": kind, "at": i / 20, "share": share} for i, share in steps]
        x = alt.X("at:Q", title="rank of the score", axis=alt.Axis(format="%", grid=False))
        y = alt.Y("share:Q", stack=None, title=None, axis=None)
        area = alt.Chart(alt.Data(values=rows)).mark_area(interpolate="step", opacity=0.6)
        area = area.encode(x, y, alt.Color("kind:N", title=None, scale=alt.Scale(range=["#D55E00", "#999999"])))
        row = alt.Row("detector:N", title=None, sort=[*dict.fromkeys(r["detector"] for r in rows)], header=HEADER)
        panels.append(area.properties(width=230, height=50).facet(row=row).properties(title=what))
    return alt.hconcat(*panels).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_what_sees_what.svg")
