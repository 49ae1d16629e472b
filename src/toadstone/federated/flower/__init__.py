"""Flower apps: the library's rules as server strategies, its attacks as client mods and grids (extra ``flower``)."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
