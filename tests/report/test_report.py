import json
import re

import numpy as np
import pytest

from report_pages import Page
from toadstone.errors import ToadstoneError
from toadstone.experiments.record import Record, old_record
from toadstone.report import figures, write

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def page(records, tmp_path):
    return Page(write(records, tmp_path / "page.html"))


def edited(record, **results):
    return old_record({**record.info, "results": {**record.results, **results}}, record.arrays)


def test_says_the_verdict_in_plain_words(path):
    text = Page(path).text
    for sentence in (
        "The attack works; 4 of 5 defenses succeed against it, 1 could not decide.",
        "A backdoor was planted in 30 of 300 training rows (10.0%). It works: attack success rate 99.3%",
        "Could not decide: needs at least 1999 trusted rows to see a poison rate of 1.0%; there are 20.",
        "This is not a clean bill of health.",
        "Does not apply here: model has no features: use a TorchModel.",
        "Accuses class hare, which is right; on the clean twin no class.",
        "Removed by Fine pruning (attack success 1.7% at accuracy 95.0%).",
        "while it refuses 1.0%",
    ):
        assert sentence in text


def test_an_undecided_detector_is_never_called_a_miss(record, tmp_path):
    found = record.results["detectors"]["spectral-signatures"]
    text = page([edited(record, detectors={"spectral-signatures": found})], tmp_path).text
    assert "Could not decide: Spectral signatures" in text
    assert "Missed by" not in text


def test_a_blind_detector_a_wrong_accusation_and_a_useless_repair_are_called_so(record, tmp_path):
    r = record.results
    blind = {"tpr": r["clean_twin"]["attack_success_rate"], "fpr": r["clean_twin"]["attack_success_rate"]}
    detectors = {"d": {side: found | blind for side, found in r["detectors"]["activation-clustering"].items()}}
    inspectors = {"i": {side: found | {"flagged": [0]} for side, found in r["inspectors"]["neural-cleanse"].items()}}
    repairs = {"m": {"poisoned": r["poisoned"], "clean_twin": r["clean_twin"]}}
    text = page([edited(record, detectors=detectors, inspectors=inspectors, repairs=repairs)], tmp_path).text
    assert "Missed by D (1.3% of the poisoned rows)." in text
    assert "Accuses class cat; class hare would have been right; on the clean twin class cat (a false alarm)." in text
    assert "A wrong class was accused by I (class cat)." in text
    assert "Not removed by M" in text


def test_an_attack_that_fails_is_not_said_to_work(record, tmp_path):
    same = edited(record, poisoned=record.results["clean_twin"])
    text = page([same], tmp_path).text
    assert "The attack does not show" in text
    assert "It works" not in text


def test_hostile_names_and_rows_stay_text(maker, tmp_path):
    records = [maker(kind, classes=(HOSTILE, "b", HOSTILE, "d")) for kind in ("image", "text", "table")]
    for i, record in enumerate(records):
        record.info["spec"]["data"]["name_or_path"] = HOSTILE
        detectors = record.results["detectors"]
        detectors["label-checker"]["poisoned"] = {"not_applicable": HOSTILE}
        records[i] = edited(record, detectors=detectors)
    records[1].arrays["map/x"] = np.array([HOSTILE] * 60)
    records[1].arrays["examples/poisoned"] = np.array([HOSTILE] * 6)
    found = page(records, tmp_path)
    assert sum(tag == "script" and "type" not in attrs for tag, attrs in found.tags) == 1
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    assert len(found.data) == sum(len(figures(record)) for record in records)
    assert HOSTILE in found.text


def test_asks_nobody_for_anything(path):
    found = Page(path)
    assert {tag for tag, _ in found.tags}.isdisjoint({"iframe", "object", "embed", "base", "form", "audio", "video"})
    for tag, attrs in found.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
    policy = next(attrs["content"] for _, attrs in found.tags if "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    style = re.search(r"<style>(.*?)</style>", found.raw, re.S)[1]
    assert not re.search(r"url\(|@import", style)
    assert "http" not in json.dumps(found.data)


def test_shows_every_figure_and_no_missing_value(record, path):
    found, named = Page(path), figures(record)
    assert set(named) == {
        "activations",
        "silhouettes",
        "scores/activation-clustering/poisoned",
        "scores/activation-clustering/clean_twin",
        "scores/spectral-signatures/poisoned",
        "scores/spectral-signatures/clean_twin",
        "pvalues/activation-clustering",
        "anomaly/neural-cleanse",
        "norms/neural-cleanse",
        "inputs/strip/poisoned",
        "inputs/strip/clean_twin",
        "repairs",
    }
    assert len(found.data) == len(named)
    labels = [attrs["aria-label"] for tag, attrs in found.tags if attrs.get("class") == "chart"]
    assert len(labels) == len(named)
    assert all(label.count(".") >= 2 for label in labels)
    assert all(attrs.get("alt") for tag, attrs in found.tags if tag == "img")
    assert not re.search(r"\b(nan|NaN|None|inf|null|undefined)\b", found.text)


def test_histograms_count_the_rows_and_start_flagging_at_the_least_flagged_value(record):
    spec = figures(record)["scores/activation-clustering/poisoned"].to_dict()
    sets = list(spec["datasets"].values())
    bars = next(rows for rows in sets if "share" in rows[0])
    line = next(rows for rows in sets if "label" in rows[0])
    for kind, n in (("poisoned rows", 30), ("clean rows", 270)):
        assert sum(row["rows"] for row in bars if row["kind"] == kind) == n
        assert sum(row["share"] for row in bars if row["kind"] == kind) == pytest.approx(1)
    prefix = "detectors/activation-clustering/poisoned"
    values, flagged = record.arrays[f"{prefix}/values"], record.arrays[f"{prefix}/flagged"]
    assert line[0]["from"] == min(v for v, bad in zip(values, flagged, strict=True) if bad)


def test_pvalue_curves_are_the_shares_at_or_below(record):
    rows = next(iter(figures(record)["pvalues/activation-clustering"].to_dict()["datasets"].values()))
    p = record.arrays["detectors/activation-clustering/poisoned/pvalues"][record.arrays["truth"]]
    for row in rows:
        if row["kind"] == "poisoned rows":
            assert row["share"] == pytest.approx(sum(v <= row["p"] * (1 + 1e-9) for v in p) / len(p))
    assert min(row["p"] for row in rows) == pytest.approx(1 / 201)


def test_what_is_missing_is_said_and_not_drawn(maker, tmp_path):
    record = maker()
    nothing = {key: {} for key in ("detectors", "inspectors", "repairs", "monitors")}
    unmeasured = {"attack_success_rate": {"value": None, "low": 0.0, "high": 1.0, "n": 0}}
    bare = old_record(
        {**record.info, "timings": {}, "results": {**record.results, **nothing, "poisoned": unmeasured}},
        {"truth": record.arrays["truth"], "y": record.arrays["y"], "examples/row": np.empty(0, int)},
    )
    found = page([bare], tmp_path)
    assert figures(bare) == {}
    assert found.data == []
    for sentence in (
        "The attack was not measured; no defense was scored on it.",
        "The record holds no activations",
        "the attack replaced no row",
        "No detector was run on the training rows.",
        "No inspector was run on the model.",
        "No repair was run.",
        "No monitor was run on inputs.",
    ):
        assert sentence in found.text


def test_scores_without_pvalues_or_a_flag_say_so(path):
    text = Page(path).text
    assert "It gave no p-values: without trusted rows a detector can only rank." in text
    assert "No row is flagged, so there is no threshold." in text


def test_no_value_of_an_inspector_that_is_missing_is_drawn(record, tmp_path):
    sides = record.results["inspectors"]["neural-cleanse"]
    empty = {
        side: found | {"values": [None] * 4, "pvalues": [None] * 4, "flagged": []} for side, found in sides.items()
    }
    again = edited(record, inspectors={"neural-cleanse": empty})
    assert "anomaly/neural-cleanse" not in figures(again)
    assert "greatest anomaly not measured not measured" in page([again], tmp_path).text


def test_several_records_are_compared_first(maker, tmp_path):
    first, second = maker(), maker("text", 1)
    second = edited(second, monitors={})
    found = page([first, second], tmp_path)
    assert found.text.index("2 experiments compared") < found.text.index("Verdict")
    assert "not run" in found.text
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"][1:] for tag, attrs in found.tags if tag == "a"}
    assert links <= set(ids)
    assert {"r1", "r2", "comparison"} <= links


def test_size_does_not_grow_with_the_data(maker, path, tmp_path):
    big = maker()
    big.arrays["map/x"] = np.random.default_rng(0).integers(0, 256, (60, 224, 224, 3), np.uint8)
    big.arrays["examples/clean"] = big.arrays["examples/poisoned"] = big.arrays["map/x"][:6]
    for name in ("values", "pvalues"):
        key = f"monitors/strip/poisoned/benign/{name}"
        big.arrays[key] = np.resize(big.arrays[key], 100_000)
    assert write([big], tmp_path / "page.html").stat().st_size < path.stat().st_size + 600_000


def test_the_same_record_gives_the_same_page_and_stays_as_it_was(record, path, tmp_path):
    before = {name: array.copy() for name, array in record.arrays.items()}
    assert write([record], tmp_path / "page.html").read_bytes() == path.read_bytes()
    for name, array in before.items():
        np.testing.assert_array_equal(array, record.arrays[name])


def test_writes_all_or_nothing(record, tmp_path):
    target = tmp_path / "new" / "page.html"
    assert write([record], target) == target
    whole = target.read_bytes()
    broken = Record({}, record.cells, record.arrays)
    with pytest.raises(KeyError):
        write([broken], target)
    assert target.read_bytes() == whole
    assert [p.name for p in target.parent.iterdir()] == ["page.html"]


def test_refuses_no_record_and_a_folder(record, tmp_path):
    with pytest.raises(ToadstoneError, match="records is empty"):
        write([], tmp_path / "page.html")
    with pytest.raises(ToadstoneError, match="is a folder"):
        write([record], tmp_path)
