"""Tampered chat templates are found, each by its rule; honest ones are not; nothing in them runs."""

import json

import pytest

from scan import chat_templates
from scan.chat_templates import CHATML, CODE, CONTENT, DATE, DIALOGUE, HONEST, INVISIBLE, TEXT
from toadstone.scan.files import audit_files
from toadstone.scan.formats.source import Scan
from toadstone.scan.templates.published import is_published
from toadstone.scan.templates.reach import reaches
from toadstone.scan.templates.read import scan_template
from toadstone.scan.templates.render import rendering
from toadstone.scan.templates.strings import Strings
from toadstone.scan.templates.syntax import parse

TAMPERED = [
    *((f"code: {name}", source, "template-code") for name, source in CODE.items()),
    *((f"content: {name}", source, "template-content") for name, source in CONTENT.items()),
    *((f"dialogue: {name}", source, "template-content") for name, source in DIALOGUE.items()),
    *((f"date: {name}", source, "template-date") for name, source in DATE.items()),
    *((f"invisible: {name}", source, "template-invisible") for name, source in INVISIBLE.items()),
    *((f"text: {name}", source, "template-text") for name, source in TEXT.items()),
]


def found(source):
    scan = Scan(lambda *_: None, len(source))
    scan_template(scan, source, "model")
    return scan.findings


@pytest.mark.parametrize(("source", "rule"), [case[1:] for case in TAMPERED], ids=[case[0] for case in TAMPERED])
def test_tampering_is_found(source, rule):
    findings = found(source)
    assert rule in {finding.rule for finding in findings}
    assert not is_published(source)  # it was judged, not looked up
    level = "warning" if rule == "template-text" else "error"
    assert level in {finding.level for finding in findings if finding.rule == rule}


@pytest.mark.parametrize("name", HONEST)
def test_honest_templates_are_clean(name, monkeypatch):
    monkeypatch.setattr("toadstone.scan.templates.read.is_published", lambda source: False)
    assert found(HONEST[name]) == []


def test_there_is_an_honest_template_behind_each_group():
    """The tampering is what is found: without it the same text is clean."""
    assert found(chat_templates._inside("")) == []
    assert found(chat_templates._instead("message['content']")) == []


def test_a_default_system_prompt_is_a_note_with_its_text():
    source = "{% if messages[0].role != 'system' %}{{ '<|system|>You are Zed, a helpful friend' }}{% endif %}" + CHATML
    (finding,) = found(source)
    assert (finding.rule, finding.level) == ("template-text", "note")
    assert "You are Zed, a helpful friend" in finding.text


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{% x %}", "{{ a", "x" * (1 << 21)]
)
def test_what_jinja_cannot_read_is_not_clean(source):
    assert {finding.rule for finding in found(source)} == {"could-not-scan"}


def test_a_template_that_does_not_end_is_cut_short(monkeypatch):
    monkeypatch.setattr("toadstone.scan.templates.render._SECONDS", 2)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}" + CHATML
    assert "could-not-scan" in {finding.rule for finding in found(endless)}


@pytest.mark.parametrize(
    "filler", ["{{ 'x' * 999999999 }}", "{{ 'x'|center(999999999) }}", "{{ '%999999999d' % 1 }}", "{{ 9**9**9 }}"]
)
def test_a_template_that_fills_the_memory_is_cut_short(filler):
    tree = parse(CHATML + filler)
    assert not isinstance(tree, str)
    assert rendering(CHATML + filler, tree, Strings(tree)).unread


def test_nothing_runs(tmp_path):
    canary = tmp_path / "canary"
    payload = f"cycler.__init__.__globals__.os.system('touch {canary}')"
    found(CHATML + "{{ " + payload + " }}")
    tree = parse(CHATML + "{{ " + payload + " }}")
    assert "__init__" in rendering(CHATML + "{{ " + payload + " }}", tree, Strings(tree)).reached
    assert not canary.exists()


def test_strings_are_put_together_as_python_does_it():
    for source in (
        "'a' ~ 1 ~ 'b'",
        "['x', 'y']|join('-')",
        "'%s-%s' % ('a', 'b')",
        "'{}{}'.format('a', 'b')",
        "'abc'[::-1]",
        "'abc'|upper",
        "'a' * 3",
        "'x-y'.split('-')[1]",
        "'abc'|replace('b', 'z')",
        "('ab' ~ 'cd')|reverse",
    ):
        tree = parse("{% set v = " + source + " %}{{ v }}")
        (value,) = Strings(tree).values["v"]
        from jinja2 import Environment

        assert value == Environment().from_string("{{ " + source + " }}").render()


def test_words_of_a_template_are_no_reach():
    assert (
        reaches(
            parse("__init__ {# __class__ #}{% raw %}{{ x.__class__ }}{% endraw %}{{ message['role'] }}"),
            Strings(parse("")),
        )
        == []
    )


PLACES = {
    "tokenizer_config.json": lambda t: json.dumps({"chat_template": t}),
    "chat_template.json": lambda t: "\ufeff" + json.dumps({"chat_template": t}),
    "processor_config.json": lambda t: json.dumps({"a": {"chat_template": {"default": CHATML, "tools": t}}}),
    "named/tokenizer_config.json": lambda t: json.dumps(
        {"chat_template": [{"name": "default", "template": CHATML}, {"name": "x", "template": t}]}
    ),
    "twice/tokenizer_config.json": lambda t: (
        '{"chat_template": ' + json.dumps(t) + ', "chat_template": ' + json.dumps(CHATML) + "}"
    ),
    "chat_template.jinja": lambda t: t,
    "additional_chat_templates/rag.jinja": lambda t: t,
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_of_a_template_is_read(place, tmp_path):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(PLACES[place](CODE["cycler"]))
    audit = audit_files([tmp_path])
    assert audit.verdict == "findings"
    assert audit.headline == "1 of 1 file hold a chat template that does more than put messages between marks."
    path.write_text(PLACES[place](CHATML))
    assert audit_files([tmp_path]).verdict == "clean"


def test_copies_that_differ_are_named(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
    (tmp_path / "chat_template.jinja").write_text(CHATML + "\n")
    assert audit_files([tmp_path]).verdict == "clean"
    (tmp_path / "chat_template.jinja").write_text(CHATML + " ")
    assert audit_files([tmp_path]).verdict == "clean"
    (tmp_path / "chat_template.jinja").write_text(HONEST["Llama"])
    (finding,) = audit_files([tmp_path]).findings
    assert finding.rule == "template-copies"
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "chat_template.jinja").rename(other / "chat_template.jinja")
    assert audit_files([tmp_path]).verdict == "clean"
