"""The table and the stubs are those of the classes as they are."""

import importlib
import json

from toadstone import generate, registry


def test_nothing_is_stale():
    stale = [str(path.relative_to(generate.ROOT)) for path in generate.stale()]
    assert not stale, f"Run `python -m toadstone.generate`: it renews {', '.join(stale)}."


def test_what_differs_or_is_missing_is_stale(tmp_path, monkeypatch):
    copy = tmp_path / "registry.json"
    rows = json.loads(registry.FILE.read_text())
    copy.write_text(json.dumps({**rows, "strip": {**rows["strip"], "parameters": {}}}))
    monkeypatch.setattr(registry, "FILE", copy)
    assert generate.stale() == [copy]
    copy.unlink()
    assert generate.stale() == [copy]


def test_a_stub_keeps_what_is_written_by_hand():
    old = f"from .by_hand import function as function\n\n{generate.MARK}from .gone import Gone as Gone\n"
    made = generate.stub(old, "toadstone.wing", [("toadstone.wing.a.b", "SGD"), ("toadstone.wing.a.b", "Adam")])
    assert made == (
        f"from .by_hand import function as function\n\n{generate.MARK}"
        "from .a.b import SGD as SGD\nfrom .a.b import Adam as Adam\n"
    )
    assert generate.stub(made, "toadstone.wing", []).startswith("from .by_hand")
    assert generate.stub("", "toadstone.wing", []) == generate.MARK


def test_every_class_is_exported_by_its_wing():
    classes = {(e.module, e.class_name) for e in registry.entries() if e.own}
    assert classes == set(generate.registered())
    for module, name in classes:
        wing = importlib.import_module(".".join(module.split(".")[:2]))
        assert getattr(wing, name) is getattr(importlib.import_module(module), name)
        assert name in wing.__all__
