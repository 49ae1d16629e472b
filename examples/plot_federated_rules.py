"""Robust aggregation: no rule is good against everything

A server gets 1000 coordinates from each of 30 clients, 6 of whom are malicious. Honest updates are a common direction
and noise of twice its size in each coordinate. Each cell is the distance from what the server makes of the round to
the mean of the honest updates, over that mean's length: 1 is as bad as no update at all; mean of 5 rounds. Boosted:
20 times the honest mean, the other way. Noise: random, of standard deviation 20. Hidden: the honest mean with one
coordinate far off. Shifted: the honest mean less one standard deviation in each coordinate (ALIE). Silent: all zeros.

Boosted updates carry off the mean, and the mean of a random subset with it; the other rules bound the damage. Krum
returns a single client, whose noise is longer than the signal. Shifted updates are nearer to the middle than honest
ones, and only FoolsGold and DnC see that the six are alike. (Blanchard et al., NeurIPS 2017, arXiv:1703.02757; Yin et
al., ICML 2018, arXiv:1803.01498, and the papers of the other rules)
"""

from pathlib import Path

import altair as alt
import numpy as np

from toadstone.defenses.federated.arc import ARC
from toadstone.defenses.federated.bucketing import Bucketing
from toadstone.defenses.federated.bulyan import Bulyan
from toadstone.defenses.federated.centered_clipping import CenteredClipping
from toadstone.defenses.federated.dnc import Dnc
from toadstone.defenses.federated.foolsgold import FoolsGold
from toadstone.defenses.federated.geometric_median import GeometricMedian
from toadstone.defenses.federated.krum import Krum, MultiKrum
from toadstone.defenses.federated.meamed import Meamed
from toadstone.defenses.federated.mean import Mean
from toadstone.defenses.federated.median import CoordinateMedian
from toadstone.defenses.federated.nnm import NNM
from toadstone.defenses.federated.norm_clipping import NormClipping
from toadstone.defenses.federated.random_subset import RandomSubset
from toadstone.defenses.federated.sign_majority import SignMajority
from toadstone.defenses.federated.trimmed_mean import TrimmedMean
from toadstone.federated.views import ServerView
from toadstone.registry import name_of

N, F, D = 30, 6, 1000
RULES = (Mean(), NormClipping(70.0), CenteredClipping(70.0, 3), GeometricMedian(), CoordinateMedian(), TrimmedMean(F),
         Meamed(F), Krum(F), MultiKrum(F), Bulyan(F), Dnc(F), FoolsGold(), SignMajority(1.0), RandomSubset(5),
         NNM(F, CoordinateMedian()), Bucketing(2, CoordinateMedian()), ARC(F, CoordinateMedian()))  # fmt: skip


def sent(attack: str, honest: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The updates of the malicious clients."""
    mean, noise, far = honest.mean(0), 20 * draw.normal(size=(F, D)), 30 * (np.arange(D) == 0)
    shifted = mean - honest.std(0)
    what = {"boosted": -20 * mean, "noise": noise, "hidden": mean + far, "shifted": shifted, "silent": 0 * mean}
    return np.broadcast_to(what[attack], (F, D)).astype(np.float32)


def figure(quick: bool = False) -> alt.Chart:
    """Rules against attacks, the error of the aggregate in each cell."""
    cells = []
    for attack in ("boosted", "noise", "hidden", "shifted", "silent"):
        errors = np.zeros((1 if quick else 5, len(RULES)))
        for k in range(len(errors)):
            draw = np.random.default_rng(k)
            honest = (np.ones(D) + 2 * draw.normal(size=(N - F, D))).astype(np.float32)
            updates = np.concatenate([honest, sent(attack, honest, draw)])
            view = ServerView(seed=k, memory=updates)
            found = np.array([rule(updates, view=view).update for rule in RULES])
            errors[k] = np.linalg.norm(found - honest.mean(0), axis=1) / np.linalg.norm(honest.mean(0))
        for rule, error in zip(RULES, errors.mean(0).tolist(), strict=True):
            name = name_of(rule) + " + median" * hasattr(rule, "rule")
            cells.append({"rule": name, "attack": attack, "error": error, "colour": min(error, 2)})
    base = alt.Chart(alt.Data(values=cells)).encode(
        alt.X("attack:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, orient="top")),
        alt.Y("rule:N", title=None, sort=None, axis=alt.Axis(labelLimit=200)),
    )
    colour = alt.Color("colour:Q", scale=alt.Scale(scheme="blues", domain=[0, 2]), legend=None)
    ink = alt.condition("datum.colour > 1", alt.value("white"), alt.value("black"))
    words = base.mark_text().encode(alt.Text("error:Q", format=".2f"), color=ink)
    return (base.mark_rect().encode(color=colour) + words).properties(width=360, height=400)


if __name__ == "__main__":
    figure().save(Path(__file__).parents[1] / "docs/gallery/plot_federated_rules.svg")
