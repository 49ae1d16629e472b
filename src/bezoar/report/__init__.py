"""Reports: records in, one self-contained HTML page or single figures out. Reads records and nothing else."""

from bezoar._lazy import lazy

__getattr__, __dir__ = lazy(
    __name__,
    {
        "write": "bezoar.report.page",
        "write_audit": "bezoar.report.audit",
        "write_federated": "bezoar.report.federated",
        "figures": "bezoar.report.plots",
    },
)
