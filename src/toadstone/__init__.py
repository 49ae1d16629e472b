"""Plant, find, measure and remove poison in machine learning."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Data": "toadstone.core",
        "Poison": "toadstone.core",
        "Scores": "toadstone.core",
        "Evidence": "toadstone.core",
        "Rate": "toadstone.core",
        "ToadstoneError": "toadstone.errors",
        "load": "toadstone.data",
        "split": "toadstone.data",
        "Splits": "toadstone.data",
        "Experiment": "toadstone.experiments",
        "Record": "toadstone.experiments",
        "run": "toadstone.experiments",
        "replay": "toadstone.experiments",
        "flag": "toadstone.evaluation.calibration",
        "audit_code": "toadstone.scan.code",
        "audit_data": "toadstone.audit.data.audit",
        "audit_files": "toadstone.scan.files",
        "audit_model": "toadstone.audit.model",
        "audit_step": "toadstone.audit.step.audit",
        **{
            wing: f"toadstone.{wing}"
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
