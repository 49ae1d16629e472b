"""Tar archives, of any age of the format."""

from __future__ import annotations

import tarfile

from toadstone.scan.formats.outside import Names
from toadstone.scan.formats.source import Reader, Scan, Window


def is_tar(window: Window) -> bool:
    """Whether a tar header with a right checksum is at the beginning, of any age of the format."""
    head = window.at(0, 512)
    try:
        told = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return len(head) == 512 and told == sum(head[:148]) + 8 * 32 + sum(head[156:])


def scan_tar(scan: Scan, window: Window, where: str, depth: int) -> None:
    """Look into every member of a tar, and at where each would be unpacked."""
    scan.formats.add("tar")
    names = Names(scan)
    try:
        with tarfile.open(fileobj=Reader(window), mode="r:") as archive:
            for member in archive:
                scan.count_member()
                place = f"{where}!{member.name}"
                names.name(place, member.name)
                if member.issym() or member.islnk():
                    names.link(place, member.name, member.linkname, hard=member.islnk())
                    names.known([member.name])
                elif member.isdev():
                    names.device(place)
                elif member.issparse():
                    scan.unscanned(place, "it is a sparse member of a tar")
                elif member.isreg():
                    scan.look(scan, window.part(member.offset_data, member.size), place, depth + 1)
    except (tarfile.TarError, OSError, ValueError, EOFError, RecursionError) as error:
        scan.unscanned(where, f"its tar headers are damaged ({error})")
