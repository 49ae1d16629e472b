import json

import numpy as np
import pyarrow as pa
import pytest

from example_audits import DETECTORS, PHRASE, audit, png, table
from report_pages import Page
from toadstone.errors import ToadstoneError
from toadstone.findings import Finding
from toadstone.report import audit as page
from toadstone.report.audit import write_audit

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&"
PICTURE = png(np.zeros((4, 4), np.uint8))


@pytest.fixture
def write(tmp_path):
    return lambda found, rows=None, **more: Page(write_audit(found, rows, tmp_path / "report.html", **more))


@pytest.mark.parametrize("kind", ["data", "model", "files", "code", "step"])
def test_every_kind_says_all_that_the_audit_says(write, kind):
    found = write(audit(kind))
    for sentence in (
        "digits.npz",
        "Looked at: shared/digits.npz",
        "30 of 1,797 rows are flagged at a false-discovery rate of 5%.",
        "Rows that lie apart from their class.",
        "Triggers that no detector here can see.",
        "What the verdict rests on ✕ 1 error flagged-class class 7 Half of its rows are flagged. Details Share 0.5",
        "Could not be decided ? 1 warning few-trusted-rows spectral-signatures It could not decide.",
        "Worth knowing · 1 note duplicates rows 12 rows are there twice.",
        "Rows 1,797 Flagged 30 Seconds 12.3 Trusted none Detectors activation-clustering, spectral-signatures,",
    ):
        assert sentence in found.text
    assert len(found.ids) == len(set(found.ids))
    assert "rows" not in found.ids
    assert found.raw.count("<script") == 1  # the page's own


@pytest.mark.parametrize(
    ("level", "words"), [("error", "✕ Findings"), ("warning", "? Could not decide"), ("note", "✓ Clean")]
)
def test_the_verdict_in_a_sign_and_in_words(write, level, words):
    found = write(audit(findings=(Finding("rule", "where", "text", level),)))
    assert f"Verdict {words}" in found.text


def test_an_audit_that_says_nothing(write):
    found = write(audit(findings=(), checked=(), unchecked=(), facts={}))
    assert "✓ Clean" in found.text
    assert "The audit names no limits. That does not mean that there are none." in found.text
    assert "findings" not in found.ids


def test_the_gallery_holds_every_row(write):
    rows = table("text", 12)
    (held,) = write(audit(), rows).data
    for name in ("row", "label", "suggested", "pvalue", "detector", "reason"):
        assert held[name] == rows.column(name).to_pylist()
    for text, (before, phrase, after) in zip(rows.column("text").to_pylist(), held["text"], strict=True):
        assert (before + phrase + after, phrase) == (text, PHRASE)
    assert list(held["each"]) == list(DETECTORS)
    assert held["each"][DETECTORS[0]] == pytest.approx(rows.column("p_activation-clustering").to_pylist(), rel=0.005)


def test_cells_are_words(write):
    (held,) = write(audit(), table("table", 2)).data
    assert held["kind"] == "table"
    assert held["cells"][1] == [["word_freq_cf", "10.5", "0", "31.2"], ["length", "3", "4", "-2.5"]]


def test_thumbnails_are_kept_as_they_are_unless_they_are_too_many(write, monkeypatch):
    import base64

    rows = table("image", 5, image=[PICTURE, None, b"no picture", PICTURE, PICTURE])
    monkeypatch.setattr(page, "TOGETHER", 2)
    found = write(audit(), rows)
    assert [len(group) for group in found.data[1:]] == [2, 2, 1]
    sent = [base64.b64decode(image) for group in found.data[1:] for image in group]
    assert sent == [PICTURE, b"", b"no picture", PICTURE, PICTURE]
    assert "with loss" not in found.text
    monkeypatch.setattr(page, "EXACT", 100)
    found = write(audit(), rows)
    sent = [base64.b64decode(image) for group in found.data[1:] for image in group]
    assert sent[0][:4] == b"RIFF"
    assert sent[1:3] == [b"", b"no picture"]
    assert "The thumbnails are compressed with loss" in found.text


def test_rows_in_the_gallery_are_not_listed_again(write):
    rows = table("text", 3, row=[3, 4, 5])
    findings = [Finding("flagged-row", f"row {row}", f"Row {row} is odd.") for row in (3, 4, 5, 6)]
    text = write(audit(findings=tuple(findings)), rows).text
    assert "3 findings are about single rows, which are in the gallery below." in text
    assert "Row 6 is odd." in text
    assert "Row 5 is odd." not in text
    assert "Row 5 is odd." in write(audit(findings=tuple(findings))).text


def test_nothing_decided_is_called_so(write):
    found = write(audit(), table("text", 8, flagged=False))
    assert "Most suspicious rows" in found.text
    assert "No row is flagged. These are the 8 most suspicious rows" in found.text
    assert "Flagged rows" not in found.text
    assert "Rows that you leave undecided are kept." in found.text
    assert "most" not in found.ids  # no p-value to filter by
    flagged = write(audit(), table("text", 8))
    assert "Flagged rows" in flagged.text
    assert "suspicious" not in flagged.text
    assert "Rows that you leave undecided are dropped, as they are in the cleaned data already." in flagged.text


def test_a_table_without_rows_has_no_gallery(write):
    found = write(audit(), table("text", 3).slice(0, 0))
    assert found.data == []
    assert "rows" not in found.ids


def test_what_is_too_much_is_counted(write, monkeypatch):
    monkeypatch.setattr(page, "MOST_ROWS", 4)
    monkeypatch.setattr(page, "MOST_FINDINGS", 2)
    findings = tuple(Finding("rule", f"file {i}", "Text.") for i in range(5))
    found = write(audit(findings=findings, facts={"long": "x" * 2100}), table("image", 9))
    assert len(found.data[0]["row"]) == 4
    assert sum(map(len, found.data[1:])) == 4
    assert "5 more rows are not on this page" in found.text
    assert "✕ 5 errors" in found.text
    assert "3 more are not listed here" in found.text
    assert "x … (100 more characters)" in found.text


def test_hostile_strings_stay_text(write):
    found = audit(
        target=HOSTILE,
        headline=HOSTILE,
        findings=(Finding(HOSTILE, HOSTILE, HOSTILE, detail={HOSTILE: [HOSTILE, {"a": HOSTILE}]}),),
        checked=(HOSTILE,),
        unchecked=(HOSTILE,),
        facts={HOSTILE: HOSTILE},
    )
    names = ("where", "label", "suggested", "detector", "reason", "text")
    rows = table("text", 2, **{name: [HOSTILE] * 2 for name in names}, cells=[json.dumps([[HOSTILE] * 4])] * 2)
    rows = rows.append_column(f"p_{HOSTILE}", pa.array([0.1, 0.2]))
    got = write(found, rows, pictures={HOSTILE: PICTURE})
    assert [tag for tag, _ in got.tags].count("script") == 2  # the data and the page's own
    assert not any("onerror" in attrs for _, attrs in got.tags)
    assert got.data[0]["where"] == [HOSTILE] * 2
    assert got.data[0]["cells"][0] == [[HOSTILE] * 4]
    assert HOSTILE in got.data[0]["each"]
    assert {attrs["alt"] for tag, attrs in got.tags if tag == "img"} == {HOSTILE}


def test_what_cannot_be_seen_is_written_out(write):
    odd = "a\x00b\u202egnp.exe\u200b\udc80"
    found = write(audit(target=odd, findings=(Finding("rule", odd, "Text."),)), table("text", 1, where=[odd[:-1]]))
    assert "a\\u0000b\\u202egnp.exe\\u200b\\udc80" in found.text
    assert found.data[0]["where"] == ["a\\u0000b\\u202egnp.exe\\u200b"]
    path = "x" * 5000
    assert path in write(audit(findings=(Finding("rule", path, "Text."),))).text


def test_the_page_asks_nobody_and_runs_one_script(write):
    found = write(audit(), table(), pictures={"class 7": PICTURE})
    (policy,) = [attrs["content"] for _, attrs in found.tags if attrs.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 1
    assert "unsafe-inline" not in policy.split("style-src")[0]
    for _, attrs in found.tags:
        assert not any(name.startswith("on") or name == "style" for name in attrs)
        for name in ("src", "href"):
            assert attrs.get(name, "data:").startswith(("data:", "#"))
    assert len(found.raw) < 150_000  # the drawing code of the other reports is a megabyte


def test_the_same_audit_gives_the_same_bytes(tmp_path):
    def written(name, found):
        return write_audit(found, table("image", 20), tmp_path / name, pictures={"x": PICTURE}).read_bytes()

    assert written("a.html", audit()) == written("b.html", audit())


def test_decisions_belong_to_the_rows(write):
    def digest(found, rows):
        return write(found, rows).data[0]["digest"]

    mine = digest(audit(), table("text"))
    assert mine == digest(audit(facts={"seconds": 99}, headline="another"), table("text"))
    assert mine != digest(audit(target="other.npz"), table("text"))
    assert mine != digest(audit(), table("text", seed=1))


def test_bad_input_writes_nothing(tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(ToadstoneError, match=r"rows lacks the column 'detector': give the table that an audit of data"):
        write_audit(audit(), table().drop_columns(["detector"]), path)
    for cells in ("{", "3", "[3]"):
        with pytest.raises(ToadstoneError, match=r"rows has cells that are not a JSON list of lists"):
            write_audit(audit(), table("table", 1, cells=[cells]), path)
    with pytest.raises(ToadstoneError, match=r"pictures\['x'\] is not a PNG: give the bytes of a PNG file."):
        write_audit(audit(), None, path, pictures={"x": b"GIF89a"})
    with pytest.raises(ToadstoneError, match=r"is a folder: give the name of a file"):
        write_audit(audit(), None, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ToadstoneError, match=r"cannot be written"):
        write_audit(audit(), None, tmp_path / "file" / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_rewrite_leaves_the_old_page(tmp_path):
    path = write_audit(audit(), None, tmp_path / "report.html")
    before = path.read_bytes()
    with pytest.raises(ToadstoneError):
        write_audit(audit(), table().drop_columns(["row"]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
