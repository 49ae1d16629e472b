"""Plant, find, measure and remove poison in machine learning."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Data": "bezoar.core",
        "Poison": "bezoar.core",
        "Scores": "bezoar.core",
        "Evidence": "bezoar.core",
        "Rate": "bezoar.core",
        "BezoarError": "bezoar.errors",
        "load": "bezoar.data",
        "split": "bezoar.data",
        "Splits": "bezoar.data",
        "Experiment": "bezoar.experiments",
        "Record": "bezoar.experiments",
        "run": "bezoar.experiments",
        "replay": "bezoar.experiments",
        "flag": "bezoar.evaluation.calibration",
        **{f"audit_{what}": f"bezoar.audit.{what}" for what in ("code", "data", "files", "model", "step")},
        **{
            wing: f"bezoar.{wing}"
            for wing in (
                "attacks",
                "audit",
                "certificates",
                "defenses",
                "evaluation",
                "experiments",
                "models",
                "report",
                "training",
                "triggers",
            )
        },
    },
)
