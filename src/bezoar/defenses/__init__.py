"""Defenses, by the stage at which they act: data, training, model, federated, inference."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ActivationClustering": "bezoar.defenses.data.activation_clustering",
        "CleanOrAttacked": "bezoar.defenses.data.clean_or_attacked",
        "ComplexityChange": "bezoar.defenses.data.complexity_change",
        "ConfidentLearning": "bezoar.defenses.data.confident_learning",
        "DeepKNN": "bezoar.defenses.data.deep_knn",
        "LossRanking": "bezoar.defenses.data.loss_ranking",
        "Roni": "bezoar.defenses.data.roni",
        "Sanitise": "bezoar.defenses.data.sanitise",
        "ScalingDetection": "bezoar.defenses.data.scaling_detection",
        "SelfInfluence": "bezoar.defenses.data.self_influence",
        "SphereSlab": "bezoar.defenses.data.sphere_slab",
        "SpectralSignatures": "bezoar.defenses.data.spectral_signatures",
        "Beatrix": "bezoar.defenses.data.beatrix",
        "CognitiveDistillation": "bezoar.defenses.data.cognitive_distillation",
        "GradientClustering": "bezoar.defenses.data.gradient_clustering",
        "MetaSift": "bezoar.defenses.data.meta_sift",
        "Spectre": "bezoar.defenses.data.spectre",
        "StripRows": "bezoar.defenses.data.strip_rows",
        "PartitionAggregation": "bezoar.defenses.training.partition_aggregation",
        "Trim": "bezoar.defenses.training.trim",
        "NeuralCleanse": "bezoar.defenses.model.neural_cleanse",
        "FinePruning": "bezoar.defenses.model.fine_pruning",
        "ScalingFilter": "bezoar.defenses.inference.scaling_filter",
        "Strip": "bezoar.defenses.inference.strip",
    },
)
