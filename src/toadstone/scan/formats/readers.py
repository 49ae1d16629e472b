"""The readers of formats whose text decides what runs: for bytes, and for text."""

from __future__ import annotations

from collections.abc import Callable

from toadstone.scan.formats.gguf import is_gguf, scan_gguf
from toadstone.scan.formats.graphs import is_graph, is_lite, scan_graph, scan_lite
from toadstone.scan.formats.onnx import is_onnx, scan_onnx
from toadstone.scan.formats.settings import scan_settings
from toadstone.scan.formats.source import Scan, Window
from toadstone.scan.formats.targets import scan_targets
from toadstone.scan.templates.files import scan_template_file

BINARY: tuple[tuple[str, Callable[[Window, str], bool], Callable[[Scan, Window, str], None]], ...] = (
    ("gguf", is_gguf, scan_gguf),
    ("onnx", is_onnx, scan_onnx),
    ("saved_model", is_graph, scan_graph),
    ("tflite", is_lite, scan_lite),
)
TEXT: tuple[Callable[[Scan, str, str], None], ...] = (scan_settings, scan_targets, scan_template_file)
