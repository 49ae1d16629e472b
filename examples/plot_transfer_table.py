"""Attack points for a victim that the attacker does not know

An attacker adds 15 images to 60 of the digits 3 and 8. They are crafted against a surrogate: a learner that may not
be the victim's, trained on the victim's own images (left) or on 60 others (right). Each cell is the share of unseen
digits that the victim of its column then mistakes. The two upper rows, the same on both sides, are there to
compare: no images added, and 15 drawn ones with the wrong label. (Biggio et al., ICML 2012, arXiv:1206.6389)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone import Data, load
from toadstone.attacks.data.optimal_points import OptimalPoints
from toadstone.goals.availability import Availability
from toadstone.training import Fit

KERNEL, LINEAR = "sklearn.svm.SVC", "sklearn.linear_model."
VICTIMS = {
    "linear SVM": Fit(KERNEL, {"kernel": "linear"}),
    "RBF SVM": Fit(KERNEL, {"gamma": 0.1}),
    "logistic": Fit(f"{LINEAR}LogisticRegression", {"max_iter": 5000}),
    "ridge": Fit(f"{LINEAR}RidgeClassifier"),
    "forest": Fit(settings={"n_estimators": 50}),
    "5 neighbours": Fit("sklearn.neighbors.KNeighborsClassifier"),
}
SURROGATES = {"linear SVM": "svm", "RBF SVM": "svm", "logistic": "logistic", "ridge": "ridge"}
SIDES = ("trained on the victim's images", "trained on other images")


def unit(data: Data) -> Data:
    return Data(np.asarray(data.x[:]).reshape(len(data), -1) / 255, data.y, data.classes)


def errors(seed: int, steps: int) -> list[dict[str, float | str]]:
    """The cells of both tables."""
    digits = load("digits")
    order = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(digits.y, (3, 8))))
    pair = Data(digits.x[order], (digits.y[order] == 8).astype(int), ("3", "8"))
    train, other, valid, test = (pair.take(rows) for rows in np.split(np.arange(len(pair)), (60, 120, 240)))
    false = Data(other.x[:15], 1 - other.y[:15], pair.classes)
    sets = {(side, "none"): train for side in SIDES} | {(side, "wrong labels"): train.append(false) for side in SIDES}
    for side, rows in zip(SIDES, (train, other), strict=True):
        for name, learner in SURROGATES.items():
            gamma = 0.1 if name == "RBF SVM" else None
            attack = OptimalPoints(15, learner, gamma=gamma, joint=True, starts=3, steps=steps)
            sets[side, name] = attack.craft(rows, valid, seed=seed).apply(train)
    rows = []
    for (side, name), data in sets.items():
        for victim, fit in VICTIMS.items():
            error = Availability().success(fit.fit(unit(data), seed=seed), unit(test)).value
            rows.append({"side": side, "surrogate": name, "victim": victim, "error": error})
    return rows


def figure(quick: bool = False) -> alt.Chart:
    """Two heat maps: surrogate by victim, mean error."""
    runs = [errors(seed, 10 if quick else 40) for seed in range(1 if quick else 5)]
    cells = [{**same[0], "error": float(np.mean([c["error"] for c in same]))} for same in zip(*runs, strict=True)]
    base = alt.Chart().encode(
        x=alt.X("victim:N", title="victim", sort=list(VICTIMS), axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("surrogate:N", title="surrogate", sort=["none", "wrong labels", *SURROGATES]),
    )
    colour = alt.Color(
        "error:Q", title="victim's error", scale=alt.Scale(scheme="blues"), legend=alt.Legend(format="%")
    )
    ink = alt.condition("datum.error > 0.22", alt.value("white"), alt.value("black"))
    numbers = base.mark_text().encode(text=alt.Text("error:Q", format=".0%"), color=ink)
    layers = alt.layer(base.mark_rect().encode(color=colour), numbers, data=alt.Data(values=cells)).properties(
        width=260, height=200
    )
    return layers.facet(column=alt.Column("side:N", title=None, sort=list(SIDES)))


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_transfer_table.svg")
