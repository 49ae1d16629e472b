"""Wrong labels make a problem complex

Twelve measures of how complex a classification problem is, for the embedded digits 3 and 8 as they are and with 5 and
10% of labels flipped at random, the mean over five draws. All lie between 0 and 1, higher for a harder problem. Those
that look at a row's nearest neighbours (N1, N2, N3, and LSC, which counts the neighbours before the first of the
other class) rise at once; a detector of wrong labels, and a judge of whole data sets, are built on that. F1v asks for
the best direction, F1 and F3 for the best column, Density and ClsCoef for a graph of near rows of one label; T1 says
nothing here, as in 64 columns hardly a sphere lies within another; C1 and C2 measure no more than unequal classes.
(Lorena, Garcia, Lehmann, Souto & Ho, ACM Computing Surveys 52(5), 2019, arXiv:1808.03591; Chan, He, Li & Hsu, IJMLC
9, 2018)"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import load
from toadstone.attacks.data.label_flips import LabelFlips
from toadstone.defenses.data.complexity import MEASURES, complexity

COLOURS = alt.Scale(range=["#009E73", "#E69F00", "#D55E00"])
RATES = {"0%": 0.0, "5%": 0.05, "10%": 0.1}


def figure(quick: bool = False) -> alt.Chart:
    """Bars by measure, one a rate."""
    digits = load("digits")
    pair = digits.take(np.isin(digits.y, (3, 8)))
    bars = []
    for name, rate in RATES.items():
        found = []
        for seed in range(1 if quick or not rate else 5):
            data = LabelFlips(rate).poison(pair, seed=seed).apply(pair) if rate else pair
            found.append(complexity(data.x[:], data.y))
        for measure in MEASURES:
            value = float(np.mean([one[measure] for one in found]))
            bars.append({"measure": measure, "flipped": name, "complexity": round(value, 4)})
    return (
        alt.Chart(alt.Data(values=bars))
        .mark_bar()
        .encode(
            x=alt.X("measure:N", sort=list(MEASURES), title=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("flipped:N", sort=list(RATES)),
            y=alt.Y("complexity:Q", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("flipped:N", sort=list(RATES), scale=COLOURS, title="labels flipped"),
        )
        .properties(width=620, height=240)
    )


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_complexity.svg")
