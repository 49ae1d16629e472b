"""The audit: somebody else's files, code, data or model, or one training step of your own, and an answer."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Audit": "toadstone.findings",
        "Finding": "toadstone.findings",
        "Precomputed": "toadstone.training.adapt",
        "audit_code": "toadstone.scan.code",
        "audit_data": "toadstone.audit.data.audit",
        "audit_files": "toadstone.scan.files",
        "audit_model": "toadstone.audit.model",
        "audit_step": "toadstone.audit.step.audit",
        "load_for_audit": "toadstone.audit.data.read",
        "load_stranger": "toadstone.models.foreign",
        "repair_model": "toadstone.audit.model",
        "write_sarif": "toadstone.scan.sarif",
    },
)
