"""The audit: somebody else's files, code, data or model, or one training step of your own, and an answer."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Audit": "bezoar.audit.findings",
        "Finding": "bezoar.audit.findings",
        "Precomputed": "bezoar.audit.rows.models",
        "audit_code": "bezoar.audit.code",
        "audit_data": "bezoar.audit.data",
        "audit_files": "bezoar.audit.files",
        "audit_model": "bezoar.audit.model",
        "audit_step": "bezoar.audit.step",
        "load_for_audit": "bezoar.audit.rows.read",
        "load_stranger": "bezoar.audit.net.stranger",
        "repair_model": "bezoar.audit.model",
        "write_sarif": "bezoar.audit.sarif",
    },
)
