"""Templates in files of their own."""

from __future__ import annotations

from pathlib import PurePosixPath

from toadstone.scan.formats.source import Scan
from toadstone.scan.templates.read import scan_template


def scan_template_file(scan: Scan, text: str, where: str) -> None:
    """Read a file that is named as a template: chat_template.jinja, additional_chat_templates/tools.jinja."""
    path = PurePosixPath(where.rsplit("!", maxsplit=1)[-1].replace("\\", "/"))
    if path.suffix.lower() in (".jinja", ".jinja2", ".j2"):
        scan_template(scan, text, where, "default" if path.stem == "chat_template" else path.stem)
