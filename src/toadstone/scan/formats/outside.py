"""Where unpacking an archive would write: names and links that lead out of its folder, and device files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from toadstone.scan.formats.source import Scan

_ABSOLUTE = re.compile(r"/|[A-Za-z]:|~")
RULE = "archive-outside"


@dataclass
class Names:
    """The names of an archive's members, as an unpacker that trusts them would use them."""

    scan: Scan
    links: set[str] = field(default_factory=set)

    def known(self, links: Iterable[str]) -> None:
        """Which members are links: a name can pass over one."""
        self.links |= {"/".join(_parts(name)) for name in links}

    def name(self, place: str, name: str) -> None:
        """A member's own name."""
        if self.escapes("", name):
            text = f"Unpacking it would write to {name[:200]!r}, outside the folder that it is unpacked in."
            self.scan.add(RULE, place, text, name=name[:200])

    def link(self, place: str, name: str, target: str, *, hard: bool = False) -> None:
        """A link: a soft one counts from its own folder, a hard one from the archive's."""
        folder = "" if hard else "/".join(_parts(name)[:-1])
        if self.escapes(folder, target):
            text = f"It is a link to {target[:200]!r}, outside the folder that it is unpacked in."
            self.scan.add(RULE, place, text, target=target[:200])

    def device(self, place: str) -> None:
        text = "Unpacking it would make a device file or a pipe."
        self.scan.add(RULE, place, text)

    def escapes(self, folder: str, name: str) -> bool:
        """Whether a path from ``folder`` is absolute, climbs above the archive's folder, or climbs behind a link."""
        if _ABSOLUTE.match(name.replace("\\", "/")):
            return True
        here, over_link = _parts(folder), False
        for part in _parts(name):
            if part == "..":
                if not here or over_link:
                    return True
                here.pop()
            else:
                here.append(part)
                over_link = over_link or "/".join(here) in self.links
        return False


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
