"""Reports: records in, one self-contained HTML page or single figures out. Reads records and nothing else."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
