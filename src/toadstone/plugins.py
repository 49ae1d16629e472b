"""Packages that add algorithms: the modules that entry points of the group ``toadstone.plugins`` name.

Only installed packages are asked, and only once a process needs them: for a list of everything, or for a name that the
library does not have.
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
        except Exception as error:  # a stranger's module raises whatever it likes
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            package = f" of {point.dist.name}" if point.dist else ""
            sentence = f"The plugin {point.name!r}{package} cannot be imported ({reason}): mend or uninstall it."
            _FAILED.append(sentence)
            warnings.warn(sentence, PluginWarning, stacklevel=3)


def failed() -> tuple[str, ...]:
    """A sentence for each plugin that could not be imported so far."""
    return tuple(_FAILED)
