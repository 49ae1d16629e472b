"""What an attacker does, by the stage of the pipeline at which it is done."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "AdaptiveBlend": "bezoar.attacks.data.adaptive",
        "AdaptivePatch": "bezoar.attacks.data.adaptive",
        "Alfa": "bezoar.attacks.data.alfa",
        "AlfaTilt": "bezoar.attacks.data.alfa_tilt",
        "BackGradient": "bezoar.attacks.data.back_gradient",
        "Backdoor": "bezoar.attacks.data.backdoor",
        "BetaPoisoning": "bezoar.attacks.data.beta_poisoning",
        "BullseyePolytope": "bezoar.attacks.data.bullseye_polytope",
        "CandidateAttack": "bezoar.attacks.data.candidate_attack",
        "ConvexPolytope": "bezoar.attacks.data.convex_polytope",
        "CorrelatedClusters": "bezoar.attacks.data.correlated_clusters",
        "Dictionary": "bezoar.attacks.data.dictionary",
        "FeatureCollision": "bezoar.attacks.data.feature_collision",
        "GradientMatching": "bezoar.attacks.data.gradient_matching",
        "HiddenTrigger": "bezoar.attacks.data.hidden_trigger",
        "ImageScaling": "bezoar.attacks.data.scaling",
        "LabelConsistent": "bezoar.attacks.data.label_consistent",
        "LabelFlips": "bezoar.attacks.data.label_flips",
        "MaximumRotation": "bezoar.attacks.data.maximum_rotation",
        "Narcissus": "bezoar.attacks.data.narcissus",
        "OptimalPoints": "bezoar.attacks.data.optimal_points",
        "RandomBackdoor": "bezoar.attacks.data.random_backdoor",
        "RegressionPoisoning": "bezoar.attacks.data.regression_poisoning",
        "SampleSpecific": "bezoar.attacks.data.sample_specific",
        "Semantic": "bezoar.attacks.data.semantic",
        "SleeperAgent": "bezoar.attacks.data.sleeper_agent",
        "StatP": "bezoar.attacks.data.statp",
        "WaNet": "bezoar.attacks.data.wa_net",
        "ConditionalGenerator": "bezoar.attacks.training.conditional_generator",
        "InputAware": "bezoar.attacks.training.input_aware",
    },
)
