from __future__ import annotations

import gzip
import json

import pytest

from hostile.containers import gunzip_bomb
from toadstone.data import load
from toadstone.errors import ToadstoneError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("TOADSTONE_DATA", str(tmp_path))
    return tmp_path


def test_sst2(root):
    (root / "sst2").mkdir()
    for part, body in {"train": "good\tfilm\t1\nbad\t0", "dev": "so so\t0\n", "test": "fine\t1\n"}.items():
        (root / "sst2" / f"{part}.tsv").write_text(body)
    data = load("sst2")
    assert data.x.tolist() == ["good\tfilm", "bad", "so so", "fine"]
    assert data.x.dtype == object
    assert data.y.tolist() == [1, 0, 0, 1]
    assert data.meta["part"].tolist() == ["train", "train", "dev", "test"]
    assert data.classes == ("negative", "positive")
    (root / "sst2" / "dev.tsv").write_text("no label\n")
    with pytest.raises(ToadstoneError, match=r"dev\.tsv must hold"):
        load("sst2")


def test_acl_imdb_tree(root):
    for part in ("train", "test"):
        for side in ("pos", "neg"):
            folder = root / "aclImdb" / part / side
            folder.mkdir(parents=True)
            for i in (1, 0):
                (folder / f"{i}_7.txt").write_text(f"{part} {side} {i} é", encoding="utf-8")
    data = load("imdb")
    assert data.x.tolist() == [f"{p} {s} {i} é" for p in ("train", "test") for s in ("neg", "pos") for i in (0, 1)]
    assert data.y.tolist() == [0, 0, 1, 1] * 2
    assert data.meta["part"].tolist() == ["train"] * 4 + ["test"] * 4


def test_json_lines(root):
    for name in ("imdb/train", "imdb/test", "enron1/enron1"):
        path = root / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        rows = [{"label": 1, "text": "a\u2028b"}, {"label": 0, "text": "c\r\nd"}]
        path.write_bytes(gzip.compress("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()))
    assert load("imdb").x.tolist() == ["a\u2028b", "c\r\nd"] * 2
    mail = load("enron")
    assert (mail.y.tolist(), mail.classes, dict(mail.meta)) == ([1, 0], ("ham", "spam"), {})
    (root / "enron1/enron1.jsonl.gz").write_bytes(gzip.compress(b'{"label": 1}\n'))
    with pytest.raises(ToadstoneError, match="JSON lines with text and label"):
        load("enron")
    (root / "enron1/enron1.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(ToadstoneError, match="cannot be read"):
        load("enron")


def test_rt_polarity_lines_end_at_newlines_alone(root):
    (root / "rt_polarity").mkdir()
    (root / "rt_polarity/rt-polarity.neg").write_bytes(b"dull \x85 film \nflat\x0cone \n")
    (root / "rt_polarity/rt-polarity.pos").write_bytes(b"clich\xe9 free \n")
    data = load("rt-polarity")
    assert data.x.tolist() == ["dull \x85 film", "flat\x0cone", "cliché free"]
    assert data.y.tolist() == [0, 0, 1]
    assert "part" not in data.meta


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"label": 1e999, "text": "a"}', "must hold JSON lines with text and label"),
        (b'{"label": 99999999999999999999, "text": "a"}', "must hold JSON lines with text and label"),
        (b"[" * 100_000, r"must hold JSON lines .*nested too deeply"),
        (b"[1, 2]", "must hold JSON lines"),
        (b'{"label": 1, "text": "\\ud800"}', "text of row 0 has half a character"),
        (b'{"label": 1, "text": "caf\xe9"}', "is not utf-8 text"),
    ],
)
def test_hostile_lines(root, line, message):
    (root / "enron1").mkdir()
    (root / "enron1/enron1.jsonl.gz").write_bytes(gzip.compress(line))
    with pytest.raises(ToadstoneError, match=message):
        load("enron")


def test_blank_lines_are_passed_over(root):
    (root / "enron1").mkdir()
    rows = b'  {"label": 1, "text": "a"}\r\n \t\n\n{"label": 0, "text": "b"}'
    (root / "enron1/enron1.jsonl.gz").write_bytes(gzip.compress(rows) + gunzip_bomb(b"\n" * (1 << 20), 16))
    assert load("enron").x.tolist() == ["a", "b"]
    (root / "rt_polarity").mkdir()
    (root / "rt_polarity/rt-polarity.neg").write_bytes(b"\x85\n \xa0 \n  a b \n")
    (root / "rt_polarity/rt-polarity.pos").write_bytes(b"c")
    assert load("rt-polarity").x.tolist() == ["a b", "c"]
