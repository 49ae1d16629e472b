"""Packages that add algorithms: the modules that entry points of the group ``toadstone.plugins`` name.

Installed packages are searched only when a process needs them: to list everything, or for a name that the library
does not have.
"""

from __future__ import annotations

import functools
import warnings

GROUP = "toadstone.plugins"
_FAILED: list[str] = []


class PluginWarning(UserWarning):
    """A plugin could not be imported; the library goes on without it."""


@functools.cache
def load() -> None:
    """Import every plugin, once; its classes register themselves. A PluginWarning for each that fails."""
    from importlib.metadata import entry_points  # noqa: PLC0415 (slower than all the rest of a start)

    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            point.load()
        except Exception as error:  # somebody else's module may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            package = f" of {point.dist.name}" if point.dist else ""
            sentence = f"The plugin {point.name!r}{package} cannot be imported ({reason}): mend or uninstall it."
            _FAILED.append(sentence)
            warnings.warn(sentence, PluginWarning, stacklevel=3)


def failed() -> tuple[str, ...]:
    """A sentence for each plugin that could not be imported so far."""
    return tuple(_FAILED)
