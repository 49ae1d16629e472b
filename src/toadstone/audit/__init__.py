"""The audit: somebody else's files, code, data or model, or one training step of your own, and an answer."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Audit": "toadstone.audit.findings",
        "Finding": "toadstone.audit.findings",
        "Precomputed": "toadstone.audit.rows.models",
        "audit_code": "toadstone.audit.code",
        "audit_data": "toadstone.audit.data",
        "audit_files": "toadstone.audit.files",
        "audit_model": "toadstone.audit.model",
        "audit_step": "toadstone.audit.step",
        "load_for_audit": "toadstone.audit.rows.read",
        "load_stranger": "toadstone.audit.net.stranger",
        "repair_model": "toadstone.audit.model",
        "write_sarif": "toadstone.audit.sarif",
    },
)
