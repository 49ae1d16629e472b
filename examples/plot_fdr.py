"""The false-discovery rate asked for, and the one that comes

Left, p-values of training rows whose labels somebody may have got wrong: flat where all labels are right, piled up
near 0 by the 5% that are wrong. The line is what flat means. Right, the share of right labels among the flagged rows
against the share that was asked for, mean of ten seeds, with the standard error. Trusted rows that were trained on
with the others keep the promise; trusted rows that the model never saw are harder for it than rows that it has seen,
so that the rate is lower than asked, and so is the recall.
(Benjamini-Hochberg on conformal p-values: Bates et al. 2023, arXiv:2104.08279)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load, split
from toadstone.defenses import LossRanking
from toadstone.evaluation.calibration import flag
from toadstone.evaluation.judgement import judge
from toadstone.models.nets import MLP
from toadstone.training import Adam, Train

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
KINDS = {"trained on": True, "never seen": False}


def one_seed(seed: int) -> tuple[list[dict], list[dict]]:
    """p-values of the rows, and the false discoveries at each level, by whether the trusted rows were trained on."""
    parts = split(load("digits"), test=100, clean=500, seed=seed)
    draw = np.random.default_rng(seed)
    wrong = draw.random(len(parts.train)) < 0.05
    y = np.where(wrong, (parts.train.y + draw.integers(1, 10, len(wrong))) % 10, parts.train.y)
    rates, values = [], []
    for what, data, truth in (
        ("5% of labels wrong", Data(parts.train.x, y, parts.train.classes), wrong),
        ("all labels right", parts.train, np.zeros(len(wrong), bool)),
    ):
        for kind, inside in KINDS.items():
            train = Train(MLP((64,)), epochs=6, optimizer=Adam(3e-3), batch_size=32)
            model = train.fit(data.append(parts.clean) if inside else data, seed=seed)
            scores = judge(LossRanking(), model, data, clean=parts.clean, seed=0)
            if inside:
                values += [{"labels": what, "p": p} for p in scores.pvalues.round(3).tolist()]
            for level in LEVELS if truth.any() else ():
                rows = flag(scores, fdr=level).rows
                share = float(rows[~truth].sum() / max(1, rows.sum()))
                rates.append({"trusted rows": kind, "asked": level, "came": round(share, 4)})
    return values, rates


def figure(quick: bool = False) -> alt.Chart:
    """p-values beside rates."""
    runs = [one_seed(seed) for seed in range(1 if quick else 10)]
    bins = [{"p": i / 20, "to": (i + 1) / 20} for i in range(20)]
    panels = []
    for what in ("5% of labels wrong", "all labels right"):
        p = [row["p"] for run in runs for row in run[0] if row["labels"] == what]
        shares = (np.histogram(p, bins=20, range=(0, 1))[0] / len(p)).round(4).tolist()
        bars = alt.Chart(alt.Data(values=[one | {"share": share} for one, share in zip(bins, shares, strict=True)]))
        y = alt.Y("share:Q", title="share of rows", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 0.12]))
        bars = bars.mark_bar(color="#56B4E9").encode(x=alt.X("p:Q", title="p-value"), x2="to:Q", y=y, y2=alt.datum(0))
        flat = alt.Chart(alt.Data(values=[{"share": 0.05}])).mark_rule(strokeDash=[4, 4]).encode(y=y)
        panels.append((bars + flat).properties(title=what, width=260, height=110))
    rates = alt.Chart(alt.Data(values=[row for run in runs for row in run[1]]))
    x = alt.X("asked:Q", title="false-discovery rate asked for", axis=alt.Axis(format="%"))
    look = {"title": "and the one that came", "axis": alt.Axis(format="%"), "scale": alt.Scale(domain=[0, 0.5])}
    colour = alt.Color("trusted rows:N", scale=alt.Scale(range=["#999999", "#D55E00"]))
    lines = rates.mark_line(point=True).encode(x=x, y=alt.Y("mean(came):Q", **look), color=colour)
    errors = rates.mark_errorbar(extent="stderr").encode(x=x, y=alt.Y("came:Q", **look), color=colour)
    same = alt.Chart(alt.Data(values=[{"asked": v, "came": v} for v in (0, 0.5)])).mark_line(strokeDash=[4, 4])
    right = (same.encode(x="asked:Q", y="came:Q") + lines + errors).properties(width=320, height=280)
    return alt.hconcat(alt.vconcat(*panels), right).configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_fdr.svg")
