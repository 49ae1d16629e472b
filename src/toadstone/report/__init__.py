"""Reports: records in, one self-contained HTML page or single figures out. Reads records and nothing else."""

from toadstone._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "write": "toadstone.report.page",
        "write_audit": "toadstone.report.audit",
        "write_federated": "toadstone.report.federated",
        "figures": "toadstone.report.plots",
    },
)
