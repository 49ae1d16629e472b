"""How little models that never saw a row believe its label."""

from __future__ import annotations

from scipy.stats import mannwhitneyu

from toadstone.audit.data.evidence.kind import Kind
from toadstone.audit.data.population import target_of
from toadstone.core import Data, Scores
from toadstone.defenses.data.loss_ranking import LossRanking
from toadstone.evaluation.calibration import clean_share
from toadstone.findings import Finding

_LEVEL = 0.01  # the chance that the labels of a clean set, as a whole, are said to be worse than the trusted rows'


def wrong_somewhere(scores: Scores, data: Data, fdr: float) -> Finding | None:
    """The rows' labels as a whole are believed less than the trusted rows'; None where that may be chance.

    Clean rows and trusted ones are in the same folds, so that their order is chance (Mann-Whitney).
    """
    if scores.pvalues is None:
        return None
    p = float(mannwhitneyu(scores.values, scores.null_values, alternative="greater").pvalue)
    if p > _LEVEL:
        return None
    share = 1 - clean_share(scores.pvalues)
    about = f"about {share:.0%} of the {len(data):,} rows look" if share >= 0.005 else "some rows look"
    text = (
        f"The labels as a whole are believed less than the trusted rows' (p = {p:.1g}): {about} wrongly labelled, "
        f"but which ones cannot be said at a false-discovery rate of {fdr:.0%}, since some right labels are as hard."
    )
    return Finding("wrong-labels-somewhere", target_of(data), text, detail={"pvalue": p, "share": share})


KIND = Kind(
    "label",
    lambda model: None if model.known_probs is None else LossRanking("high"),
    "Models that never saw it give its label a probability of {probability}.",
    "Labels that models which never saw the row do not believe.",
    surprise=False,
    as_a_whole=wrong_somewhere,
)
