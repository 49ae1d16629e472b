"""Models: torch modules and scikit-learn estimators behind one contract, reference nets, safe files."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
