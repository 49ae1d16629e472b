"""What an audit of files reads as text: vocabularies of tokenizers, and YAML."""

from __future__ import annotations

import json
from typing import Any

from hostile.containers import Files, named, numbered
from hostile.pickles import CANARY


def tokenizer_seeds() -> Files:
    from scan.tokenizer_files import TOKENIZER

    pieces = {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["the", -3.1], ["x", -5]]}}
    added = {"added_tokens_decoder": {"0": {"content": "<s>", "special": True}}, "bos_token": "<s>", "eos_token": None}
    return {
        "tokenizer.json": json.dumps(TOKENIZER).encode(),
        "unigram/tokenizer.json": json.dumps(pieces).encode(),
        "config/tokenizer_config.json": json.dumps(added).encode(),
        "words/vocab.json": json.dumps(TOKENIZER["model"]["vocab"]).encode(),  # type: ignore[index]
        "words/merges.txt": b"#version: 0.2\na b\nab c\n",
        "pieces/tokenizer.model": b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x08\n\x03the\x15\0\0\x80\xbf",
    }


def tokenizer_special() -> dict[str, Files]:
    from scan.tokenizer_files import TOKENIZER

    def told(**changes: Any) -> bytes:
        return json.dumps({**TOKENIZER, **changes}).encode()

    def model(**changes: Any) -> bytes:
        return told(model={**TOKENIZER["model"], **changes})  # type: ignore[dict-item]

    steps: Any = {"type": "Lowercase"}
    for _ in range(300):
        steps = {"type": "Sequence", "normalizers": [steps]}
    many = 200_000
    bodies = {
        "many words": model(vocab={f"w{i}": i for i in range(many)}, merges=[]),
        "one number": model(vocab={f"w{i}": 0 for i in range(many)}, merges=[]),
        "many merges": model(merges=["a b"] * many),
        "many added": told(added_tokens=[{"id": i, "content": f"<{i}>", "special": True} for i in range(many)]),
        "numbers as texts": model(vocab={"a": "0", "b": None, "c": [1]}),
        "numbers not finite": model(vocab={"a": float("nan"), "b": float("inf"), "c": -1, "d": 2**80}),
        "merges of numbers": model(merges=[1, [1, 2], ["a"], ["a", "b", "c"], {}, None, ""]),
        "added as an object": told(added_tokens={"a": 1}),
        "added as numbers": told(added_tokens=[1, None, [], {"id": [], "content": {}}]),
        "no object": told(model=[1]),
        "a list as a kind": told(normalizer={"type": ["Sequence"], "normalizers": 3}),
        "deep steps": told(normalizer=steps),
        "patterns that run long": told(
            normalizer={"type": "Replace", "pattern": {"Regex": "(a+)+" * 20 + "$"}, "content": "a" * 99_999}
        ),
        "patterns unclosed": told(normalizer={"type": "Replace", "pattern": {"Regex": "(" * 999}, "content": "a"}),
        "patterns of numbers": told(normalizer={"type": "Replace", "pattern": 3, "content": 4}),
        "special tokens": told(post_processor={"type": "TemplateProcessing", "special_tokens": [1], "single": 3}),
        "half a character": json.dumps(TOKENIZER).encode().replace(b'"ab"', b'"\\ud800"'),
        "pieces of numbers": told(model={"type": "Unigram", "vocab": [1, [], ["a"], [1, "a"], None]}),
    }
    return named(bodies, "tokenizer.json")


def yaml_seeds() -> Files:
    from scan.hostile_files import TAGS, yaml_text

    plain = "model:\n  name: &n net\n  layers: [1, 2.5, null]\n  more: {a: *n}\ntext: |\n  two\n  lines\n"
    return numbered([
        ("config.yaml", plain.encode()),
        ("config.yaml", plain.encode("utf-16")),
        *(("config.yaml", yaml_text(text, CANARY)) for text in TAGS.values()),
    ])  # fmt: skip


def yaml_special() -> dict[str, Files]:
    laughs = b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 60))
    merges = b"a0: &a0 {x: 1}\n" + b"".join(
        b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (i, i, i - 1, i - 1) for i in range(1, 60)
    )
    target = b"_target_: os.system\n"
    bodies = {
        "laughs": laughs + target,
        "laughs as a key": laughs + b"? *a59\n: 1\n" + target,
        "laughs at the target": laughs + b"b: {_target_: *a59}\n",
        "merges of merges": merges + target,
        "itself": b"a: &a [*a]\nb: {_target_: *a}\n" + target,
        "itself merged": b"a: &a {<<: *a, _target_: os.system}\n",
        "deep lists": b"[" * 20_000 + target,
        "deep lists closed": b"[" * 5_000 + b"]" * 5_000,
        "deep objects": b"{a: " * 5_000 + b"}" * 5_000,
        "deep lines": b"".join(b" " * i + b"a:\n" for i in range(3000)),
        "deep dashes": b"- " * 20_000 + b"a\n",
        "keys of keys": b"? " * 20_000 + b"a\n",
        "many documents": b"---\na: 1\n" * 50_000,
        "many anchors": b"".join(b"a%d: &a%d 1\n" % (i, i) for i in range(50_000)),
        "many tags": b"".join(b"a%d: !!python/name:os.p%d x\n" % (i, i) for i in range(5_000)),
        "many directives": b"".join(b"%%TAG !t%d! tag:a,2002:\n" % i for i in range(20_000)) + b"---\na: 1\n",
        "a long line": b"_target_: " + b"x" * (8 << 20),
        "a long text": b'_target_: "' + b"\\x41" * (2 << 20) + b'"\n',
        "an open text": b'_target_: "' + b"x\n" * (1 << 20),
        "an escape beyond": b'_target_: "\\Uffffffff"\n',
        "half a character": b'_target_: "\\ud800"\n',
        "numbers": b"_target_: " + b"9" * 100_000 + b"\n",
        "numbers of sixty": b"_target_: " + b"1:" * 100_000 + b"1\n",
        "dates": b"_target_: 9999-99-99 99:99:99\n",
        "binary": b"_target_: !!binary ====\nb: !!float x\nc: !!int y\nd: !!timestamp z\n",
        "a set": b"_target_: !!set {a}\nb: !!omap [a]\nc: !!pairs 3\n",
        "a key of lists": b"? [a, b]\n: 1\n? {a: b}\n: {_target_: os.system}\n",
        "tabs": b"_target_:\tos.system\n\ta: 1\n",
        "nul": b"_target_: os.system\0\n",
        "utf-16 cut": "_target_: os.system".encode("utf-16")[:-1],
        "utf-32": "_target_: os.system\n".encode("utf-32"),
    }
    return named(bodies, "config.yaml")
