"""Every registered algorithm keeps its contract."""

from dataclasses import replace

import numpy as np
import pytest

from toadstone import attacks as a
from toadstone import defenses as d
from toadstone.attacks import Backdoor
from toadstone.checks import check, check_attack, check_inspector
from toadstone.defenses import (
    RONI,
    Beatrix,
    CognitiveDistillation,
    ComplexityChange,
    ConfidentLearning,
    DeepKNN,
    GradientClustering,
    LossRanking,
    MetaSift,
    PartitionAggregation,
    ScalingDetection,
    ScalingFilter,
    StripRows,
    Trim,
)
from toadstone.federated import Federated
from toadstone.models.nets import MLP
from toadstone.registry import Entry, entries
from toadstone.training import Adam, Pretrained, Resized, SpamBayes, Train, Transfer
from toadstone.triggers import (
    Accessory,
    Additive,
    Blend,
    Camouflage,
    Chain,
    Coloured,
    Distributed,
    Dynamic,
    InsertWords,
    OneOf,
    Patch,
    Scaler,
    SetFeature,
    Warp,
)

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)
QUICK = Train(MLP((16,)), epochs=1)
HALF = Scaler("pillow", "nearest", 4, 4)
CONTRACTS = ("trigger", "attack", "outsourced", "trainer", "detector", "inspector", "repair", "monitor", "purifier")
CONTRACTS += ("aggregator", "client-attack", "implant")
EXAMPLES = {
    "backdoor": [
        Backdoor(Patch(size=2), target=3),
        Backdoor(Blend(), target=3, rate=0.05, source=1),
        Backdoor(Patch(), target=3, rate=0.05, clean_label=True),
        Backdoor(Patch(), all_to_all=True),
    ],
    "adaptive-blend": [a.AdaptiveBlend(target=3)],
    "adaptive-patch": [a.AdaptivePatch(target=3)],
    "alfa": [a.Alfa(0.1)],
    "alfa-tilt": [a.AlfaTilt(0.1)],
    "back-gradient": [a.BackGradient(3, unroll=5, starts=2, steps=2)],
    "beta-poisoning": [a.BetaPoisoning(rate=0.02, steps=5)],
    "bullseye-polytope": [a.BullseyePolytope(IMAGE, 3, (QUICK,), count=2, steps=3, repeat=2)],
    "conditional-generator": [a.ConditionalGenerator(Train(MLP((32,)), epochs=3, optimizer=Adam(1e-2)), size=2)],
    "candidate-attack": [a.CandidateAttack(rate=0.2, iterations=20)],
    "convex-polytope": [a.ConvexPolytope(IMAGE, 3, (QUICK,), count=2, steps=3)],
    "correlated-clusters": [a.CorrelatedClusters(0.05, clusters=2, draws=2, steps=4)],
    "dictionary": [a.Dictionary(known=0.05)],
    "feature-collision": [a.FeatureCollision(IMAGE, 3, QUICK, count=2, steps=3)],
    "gradient-matching": [a.GradientMatching(IMAGE, 3, QUICK, steps=2, restarts=2)],
    "hidden-trigger": [a.HiddenTrigger(Patch(2), 3, 8, QUICK, steps=2)],
    "image-scaling": [a.ImageScaling(Patch(2), HALF)],
    "influence-attack": [a.InfluenceAttack(rate=0.2, C=0.1, steps=3)],
    "input-aware": [a.InputAware(Train(MLP((32,)), epochs=3, optimizer=Adam(1e-2)), target=3, mask_epochs=1)],
    "label-consistent": [a.LabelConsistent(Patch(2), 3, QUICK, norm=n, steps=2) for n in ("linf", "l2")],
    "label-flips": [a.LabelFlips(0.1), a.LabelFlips(0.1, "nearest"), a.LabelFlips(0.1, "furthest")],
    "maximum-rotation": [a.MaximumRotation(0.1)],
    "kkt-attack": [a.KKTAttack(rate=0.2, shares=(0.1,), copies=(2,), splits=2)],
    "min-max": [a.MinMax(a.CandidateAttack(rate=0.2, iterations=20), burn=5)],
    "narcissus": [a.Narcissus(3, QUICK, steps=2)],
    "optimal-points": [a.OptimalPoints(2, kind, starts=2, steps=2) for kind in ("ridge", "svm")],
    "random-backdoor": [
        a.RandomBackdoor(size=2),
        a.RandomBackdoor((7,), size=3, locations="any", patterns="per class"),
    ],
    "sample-specific": [a.SampleSpecific(target=3, bits=2, psnr=20.0, trainer=QUICK)],
    "semantic": [a.Semantic(Coloured((255,), distance=40, share=0.2), target=7, share=0.5)],
    "sleeper-agent": [a.SleeperAgent(Patch(2), 3, 8, QUICK, steps=3, retrain=1)],
    "wa-net": [a.WaNet(target=3), a.WaNet(all_to_all=True, noise_rate=0)],
    "pretrained": [Pretrained(QUICK, "digits")],
    "transfer": [Transfer(QUICK), Transfer(QUICK, frozen=False, epochs=1)],
    "fine-pruning": [d.FinePruning(steps=300)],
    "resized": [Resized(Train(MLP((16,)), epochs=2), HALF, ScalingFilter(HALF))],
    "spectre": [d.Spectre(components=2)],
    "neural-cleanse": [d.NeuralCleanse(steps=60)],
    "strip": [d.Strip(blends=20)],
    "activation-clustering": [d.ActivationClustering(), d.ActivationClustering(scale="surprise")],
    "neighbourhood": [d.Neighbourhood(), d.Neighbourhood("features")],
    "beatrix": [Beatrix(), Beatrix("features.3")],
    "cognitive-distillation": [CognitiveDistillation(steps=3)],
    "gradient-clustering": [GradientClustering(), GradientClustering("input")],
    "meta-sift": [MetaSift(replace(QUICK, epochs=2), sifters=2)],
    "complexity-change": [ComplexityChange(), ComplexityChange("N3", 2, "features")],
    "partition-aggregation": [PartitionAggregation(QUICK, 3)],
    "reference-cleanse": [d.ReferenceCleanse(40, 1, training_steps=100, rectangle_steps=40, shift_steps=40)],
    "roni": [RONI(trials=2)],
    "spam-bayes": [SpamBayes()],
    "trim": [Trim(starts=2)],
    "confident-learning": [ConfidentLearning(QUICK, folds=2)],
    "deep-knn": [DeepKNN(k=10)],
    "loss-ranking": [LossRanking(), LossRanking("low", QUICK)],
    "strip-rows": [StripRows(blends=20)],
    "scaling-detection": [ScalingDetection(HALF, m) for m in ("prevention", "scaling", "filter", "spectrum")],
    "scaling-filter": [ScalingFilter(HALF), ScalingFilter(HALF, "random")],
    "additive": [Additive(IMAGE.astype(int) % 17 - 8)],
    "one-of": [OneOf((Patch(), Blend()))],
    "warp": [Warp(), Warp(noise=True)],
    "train": [Train(MLP((16,)), epochs=2)],
    "accessory": [Accessory()],
    "camouflage": [Camouflage(Patch(2), HALF)],
    "chain": [Chain((Patch(), Blend()))],
    "distributed": [Distributed(Patch())],
    "dynamic": [Dynamic(Patch(size=2))],
    "insert-words": [InsertWords()],
    "set-feature": [SetFeature((1,), (9.0,))],
    "federated": [Federated(clients=8, rounds=3, fraction=0.5, net=MLP((6,)))],
    "accuracy-check": [d.AccuracyCheck(0.5)],
    "arc": [d.ARC(2, d.CoordinateMedian())],
    "bucketing": [d.Bucketing(2, d.CoordinateMedian())],
    "bulyan": [d.Bulyan(2)],
    "dnc": [d.Dnc(2)],
    "krum": [d.Krum(2)],
    "meamed": [d.Meamed(2)],
    "multi-krum": [d.MultiKrum(2), d.MultiKrum(2, keep=3)],
    "nnm": [d.NNM(2, d.CoordinateMedian())],
    "norm-clipping": [d.NormClipping(1.0), d.NormClipping(1.0, noise=0.1)],
    "random-subset": [d.RandomSubset(5)],
    "server-validation": [d.ServerValidation(5)],
    "sign-majority": [d.SignMajority(0.01)],
    "trimmed-mean": [d.TrimmedMean(2)],
    "ada": [a.ADA(2), a.ADA(2, 5, bound=1.0)],
    "distributed-backdoor": [a.DistributedBackdoor(Distributed(Patch(4)), 7)],
    "edge-case": [a.EdgeCase(a.Semantic(Coloured((255,), 20, 0.15), target=3))],
    "model-replacement": [a.ModelReplacement(Backdoor(Patch(2), target=7, rate=0.3))],
    "neurotoxin": [a.Neurotoxin(Backdoor(Patch(2), target=7, rate=0.3))],
    "targeted-poisoning": [a.TargetedPoisoning((IMAGE,), 3), a.TargetedPoisoning((IMAGE,), 3, stealth_steps=4)],
    "data-poisoning": [a.DataPoisoning(Backdoor(Patch(2), target=7))],
}


SLOW = ("spectre", "scaling-detection", "meta-sift", "reference-cleanse", "fine-pruning", "kkt-attack")
DRAWS_NOTHING = (a.Alfa, a.AlfaTilt, a.KKTAttack, a.MaximumRotation, a.MinMax)


def examples(entry: Entry) -> list[object]:
    return EXAMPLES.get(entry.name) or [entry.cls()]


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(o, id=f"{e.name}-{i}", marks=[pytest.mark.slow] * (e.name in SLOW))
        for e in entries()
        if e.contract in CONTRACTS and e.own
        for i, o in enumerate(examples(e))
    ],
)
def test_keeps_its_contract(obj):
    if type(obj) in DRAWS_NOTHING or getattr(obj, "variant", "random") != "random":
        check_attack(obj, draws=False)
    elif isinstance(obj, d.ReferenceCleanse):
        check_inspector(obj, trains=True)
    else:
        check(obj)
