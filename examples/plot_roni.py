"""Reject on negative impact

A dictionary attack adds spam that holds every word the attacker can think of; then the words of ham look like spam,
and ham is blocked. RONI asks of each training mail: a filter that was trained on 20 trusted mails, how many of 50
other trusted mails does it get wrong once it has learnt this one too? The share that is lost, mean of 5 draws, of
Enron mails and of 1% dictionary mails among them, by SpamBayes, the filter of the paper. One such mail does more harm
than any other, and all of them stand apart. (Nelson, Barreno, Chi, Joseph, Rubinstein, Saini, Sutton, Tygar & Xia,
LEET 2008)"""

import os
from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load, split
from toadstone.attacks.data.dictionary import Dictionary
from toadstone.defenses.data.roni import RONI
from toadstone.evaluation.judgement import judge
from toadstone.training.spam_bayes import SpamBayes

COLOURS = {"ham": "#56B4E9", "spam": "#E69F00", "dictionary": "#D55E00"}


class Nobody:
    """RONI asks nothing of the model that is defended."""

    classes = ("ham", "spam")

    def probs(self, x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 2), 0.5)


def mails() -> Data:
    """Enron-Spam, or without TOADSTONE_DATA made-up mails: 15 words that are rare in either class, 6 of its own."""
    if os.environ.get("TOADSTONE_DATA"):
        return load("enron")
    draw = np.random.default_rng(0)
    y, rare, own = (np.arange(900) % 10 > 6) * 1, draw.integers(0, 3000, (900, 15)), draw.integers(0, 40, (900, 6))
    words = [[*(f"r{w}" for w in a), *(f"{'hs'[k]}{w}" for w in b)] for a, b, k in zip(rare, own, y, strict=True)]
    return Data(np.array([" ".join(w) for w in words], object), y, ("ham", "spam"))


def figure(quick: bool = False) -> alt.Chart:
    """Histograms of the impact, one panel a kind of mail."""
    parts = split(mails(), train=300 if quick else 3000, test=100, clean=300 if quick else 1000, seed=0)
    poison = Dictionary(rate=0.01).poison(parts.train, seed=0)
    data, truth = poison.apply(parts.train), poison.mask(len(parts.train))
    impact = judge(RONI(SpamBayes()), Nobody(), data, clean=parts.clean, seed=0).values
    edges = np.arange(np.floor(50 * impact.min()) - 0.5, np.ceil(50 * impact.max()) + 1) / 50
    kinds = {"ham": ~truth & (data.y == 0), "spam": ~truth & (data.y == 1), "dictionary": truth}
    rows = []
    for kind, mine in kinds.items():
        share = np.histogram(impact[mine], edges)[0] / mine.sum()
        places = zip(edges[:-1].tolist(), edges[1:].tolist(), share.tolist(), strict=True)
        rows += [{"kind": f"{kind} ({mine.sum():,})", "from": a, "to": b, "share": s} for a, b, s in places if s]
    names = [f"{kind} ({mine.sum():,})" for kind, mine in kinds.items()]
    bars = alt.Chart(alt.Data(values=rows), width=460, height=90).mark_bar()
    bars = bars.encode(
        x=alt.X("from:Q", title="accuracy lost on the quiz set", axis=alt.Axis(format="%")),
        x2="to:Q",
        y=alt.Y("share:Q", title="share of mails", axis=alt.Axis(format="%", tickCount=3)),
        y2=alt.datum(0),
        color=alt.Color("kind:N", scale=alt.Scale(domain=names, range=list(COLOURS.values())), legend=None),
        row=alt.Row("kind:N", sort=names, title=None, header=alt.Header(labelAngle=0, labelAlign="left")),
    )
    return bars.configure_view(stroke=None)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_roni.svg")
