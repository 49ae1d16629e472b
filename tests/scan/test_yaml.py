"""Tags of YAML: what each resolves to, and texts that merely look like YAML."""

import pytest
import yaml

from scan.hostile_files import TAGS
from toadstone.scan.files import audit_files

APPLY = "!!python/object/apply:os.system ['true']\n"
VERDICTS = {
    "name of a danger": ("a: !!python/name:os.system\n", "c.yaml", "findings"),
    "module": ("a: !!python/module:evil\n", "c.yaml", "undecided"),
    "own class": ("a: !!python/object:my.Net {x: 1}\n", "c.yaml", "undecided"),
    "own function": ("a: !!python/object/apply:my.make [1]\n", "c.yaml", "undecided"),
    "name of one's own": ("a: !!python/name:my.relu\n", "c.yaml", "undecided"),
    "own tag of python": ("a: !!python/something:else 1\n", "c.yaml", "undecided"),
    "built in": ("a: !!python/name:eval\n", "c.yaml", "findings"),
    "Namespace": ("a: !!python/object:argparse.Namespace {lr: 1}\n", "hparams.yaml", "clean"),
    "tuple": ("a: !!python/tuple [1]\nb: !!python/str x\nc: !!python/complex 1j\n", "c.yaml", "clean"),
    "OrderedDict": ("a: !!python/object/apply:collections.OrderedDict [[]]\n", "c.yaml", "clean"),
    "numpy": ("a: !!python/object/apply:numpy.dtype [f8]\n", "c.yaml", "clean"),
    "path": ("a: !!python/object/apply:pathlib.PosixPath [a, b]\n", "c.yaml", "clean"),
    "tags of a program": ("a: !Ref x\nb: !include y.yaml\nc: !ENV [A]\nd: !<x> 1\n", "c.yaml", "clean"),
    "tags of YAML": ("a: !!set {x}\nb: !!omap [x: 1]\nc: !!binary aGk=\n", "c.yaml", "clean"),
    "quoted": ('a: "!!python/object/apply:os.system"\n', "c.yaml", "clean"),
    "comment": ("a: 1 # !!python/object/apply:os.system\n", "c.yaml", "clean"),
    "block of text": ("a: |\n  x: !!python/object/apply:os.system\n", "c.yaml", "clean"),
    "broken text": (f"a: {APPLY}b: [\n", "notes.txt", "clean"),
    "broken YAML": (f"a: {APPLY}b: [\n", "c.yml", "findings"),
    "document before a break": (f"--- {APPLY}--- [\n", "notes.txt", "findings"),
    "Markdown": (f"# Title\n\nNever: `x: {APPLY}`\n\n* a: b: c\n", "README.md", "clean"),
    "Python": (f"TEXT = '''a: {APPLY}'''\ndef f(): return {{1: [2}}\n", "doc", "clean"),
    "HTML": ("<!DOCTYPE html><p>so good!<br />100%ab</p>\n", "a.html", "clean"),
    "long": (f"b: {'x' * 80}\n" * 60_000 + f"a: {APPLY}", "notes", "undecided"),
    "long lines of JSON": ('{"a": "good!!python/ %TAG"}\n' * 200_000, "rows.jsonl", "clean"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_tags_resolve_to(tmp_path, name):
    text, file, verdict = VERDICTS[name]
    (tmp_path / file).write_text(text)
    assert audit_files([tmp_path]).verdict == verdict


@pytest.mark.parametrize("name", TAGS)
def test_a_finding_names_the_line_and_the_name(tmp_path, name):
    """The oracle is PyYAML's own composer, which resolves tags in nodes."""
    text = TAGS[name].format('"x"', '"y"')
    (tmp_path / "notes").write_bytes(text.encode())
    found = [f for f in audit_files([tmp_path]).findings if f.rule == "yaml-python"]
    tags = set()
    for document in yaml.compose_all(text.removeprefix("\ufeff"), yaml.SafeLoader):
        nodes = [document]
        while nodes:
            node = nodes.pop()
            tags.add((node.tag, node.start_mark.line + 1))
            if isinstance(node, yaml.SequenceNode):
                nodes += node.value
            elif isinstance(node, yaml.MappingNode):
                nodes += [part for pair in node.value for part in pair]
    expected = {(tag.rpartition(":")[2], line) for tag, line in tags if "python/" in tag and not tag.endswith("tuple")}
    told = {(f.detail["name"], f.detail["line"]) for f in found}
    assert told
    assert told <= expected
