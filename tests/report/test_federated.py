"""The page about federated runs, from records made by hand."""

import copy
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from toadstone.errors import ToadstoneError
from toadstone.experiments.record import old_record
from toadstone.report import rounds as charts
from toadstone.report.federated import write_federated
from toadstone.report.matrices import matrices

PHONE, DESKTOP = 390, 1400


def rate(p, n=200):
    return {"value": p, "low": max(0, p - 0.05), "high": min(1, p + 0.05), "n": n}


def played(accuracy, success, scale=1.0, count=4):
    """Rounds in which clients 0 and 1 attack: 0 is rejected always, 1 and the honest 5 in the first round alone."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        norms = rng.uniform(0.5, 1.0, 6)
        norms[:2] *= scale
        weights = [0, 0.2, 0.2, 0.2, 0.2, 0.2] if number else [0, 0, 0.25, 0.25, 0.25, 0]
        grown = accuracy * (number + 1) / count
        found.append(
            {
                "number": number,
                "clients": [0, 1, 2, 3, 4, 5],
                "malicious": [0, 1],
                "weights": weights,
                "norms": norms.tolist(),
                "cosines": rng.uniform(-0.5, 1, 6).tolist(),
                "refused": None,
                "gamma": 6.0,
                "f": 2,
                "told": 2,
                "accuracy": rate(grown),
                "success": rate(1 - grown if success is None else success),
                "seconds": 0.1,
            }
        )
    return found


def record(attack="sign-flip", rule="krum", seed=0, accuracy=0.4, success=None, **settings):
    federated = {"name": "federated", "clients": 6, "rounds": 4, "fraction": 1.0, "malicious": 2, **settings}
    federated |= {
        "attack": {"name": attack, "scale": 5.0},
        "aggregator": rule and {"name": rule, "f": 2},
    }
    return {
        "toadstone": "0.1.0",
        "created": "2025-01-01T00:00:00+00:00",
        "git": None,
        "versions": {"numpy": "2.0.0"},
        "data": {"fingerprint": "ab" * 32},
        "spec": {"data": {"name_or_path": "digits"}, "federated": federated, "seed": seed},
        "wants_errors": success is None,
        "rounds": played(accuracy, success, scale=30),
        "clean_twin": played(0.9, None if success is None else 0.01),
    }


def opened(runs):
    return [old_record(run, {}) for run in runs]


class Text(HTMLParser):
    """What a reader sees, and whether every tag that was opened is closed."""

    EMPTY = ("meta", "link", "img", "br")

    def __init__(self, html):
        super().__init__()
        self.open, self.words = [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def __str__(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def page(records, tmp_path):
    html = write_federated(opened(records), tmp_path / "page.html").read_text()
    assert "http://" not in re.sub(r"<script>.*</script>", "", html, flags=re.S)
    return str(Text(html))


def test_one_run(tmp_path):
    text = page([record()], tmp_path)
    assert "Sign flip (scale 5) against Krum (f 2) on digits" in text
    assert "After 4 rounds the model is right on 40.0% of test rows, its clean twin on 90.0%." in text
    assert "2 of 6 clients are malicious, 6 in a round; the server's rule: Krum (f 2)." in text
    assert "5 of 8 in all rounds" in text  # client 0 four times, client 1 once
    assert "1 of 16 in all rounds" in text
    assert "Attack success" not in text  # it is the error, told once
    assert " nan" not in text.lower()
    assert "compared" not in text


def test_a_backdoor_shows_its_success_beside_the_twins(tmp_path):
    text = page([record(success=0.75)], tmp_path)
    assert "The attack succeeds on 75.0% of its trials, on the clean twin on 1.0%." in text
    assert "Attack success by round" in text


def test_a_run_without_attack_and_a_refused_round(tmp_path):
    plain = record()
    plain["spec"]["federated"] |= {"attack": None, "malicious": 0}
    plain["clean_twin"], plain["wants_errors"] = None, False
    for r in plain["rounds"]:
        r["malicious"], r["success"] = [], None
    plain["rounds"][1] |= {"refused": "all rejected.", "weights": [0] * 6, "norms": [None] * 6, "cosines": [None] * 6}
    text = page([plain], tmp_path)
    assert "No attack against Krum (f 2)" in text
    assert "Nobody attacked." in text
    assert "clean twin" not in text
    assert "all rejected." in text
    assert "without a finite number" in text


def test_figures_bound_what_a_page_holds(tmp_path):
    big = record()
    big["rounds"] = [{**big["rounds"][0], "number": i} for i in range(2000)]
    big["clean_twin"] = None
    drawn = charts.updates(big["rounds"])
    assert all(0 < len(chart.data["values"]) <= charts.POINTS for chart in drawn)
    assert "Shown: 250 of 2000 rounds." in drawn[0].description


def test_norms_of_unlike_size_are_on_a_log_scale_and_zeros_are_not():
    def scale(rounds):
        return charts.updates(rounds)[0].to_dict()["encoding"]["y"].get("scale", {}).get("type")

    far, near = record()["rounds"], record()["clean_twin"]
    assert (scale(far), scale(near)) == ("log", None)
    far[0]["norms"][0] = 0.0
    assert scale(far) is None


def test_counts_are_those_of_a_loop():
    r = record()["rounds"][0]
    gone = {kind: [0, 0] for kind in charts.KINDS}
    for client, weight in zip(r["clients"], r["weights"], strict=True):
        kind = "malicious" if client in r["malicious"] else "honest"
        gone[kind][0] += weight == 0
        gone[kind][1] += 1
    assert {kind: list(found) for kind, found in charts.counted(r).items()} == gone
    assert [row[:3] for row in charts.by_client(record()["rounds"])][:3] == [
        ("0", "malicious", "4"),
        ("1", "malicious", "4"),
        ("2", "honest", "4"),
    ]
    assert [row[3] for row in charts.by_client(record()["rounds"])] == ["100.0%", "25.0%"] + ["0.0%"] * 3 + ["25.0%"]


def test_a_rule_that_rejects_nobody_says_so(tmp_path):
    calm = record(rule="median")
    for r in calm["rounds"]:
        r["weights"] = [1 / 6] * 6
    assert "gave every update some weight in every round" in page([calm], tmp_path)


def test_the_matrix_averages_seeds_and_leaves_holes(tmp_path):
    runs = [
        record(accuracy=0.4),
        record(accuracy=0.6, seed=1),
        record(attack="zero", rule=None, accuracy=0.8),
    ]
    (found,) = matrices(opened(runs))
    assert found["rules"] == ["Krum (f 2)", "Mean"]
    assert [name for name, _ in found["rows"]] == ["Sign flip (scale 5)", "Zero (scale 5)"]
    (flip, hole), (other, zero) = (cells for _, cells in found["rows"])
    assert flip == [("accuracy", "50.0%", "clean twin 90.0%, 40.0% to 60.0% over 2 seeds")]
    assert hole is other is None
    assert zero == [("accuracy", "80.0%", "clean twin 90.0%")]
    text = page(runs, tmp_path)
    assert "3 federated runs compared" in text
    assert "not run" in text


def test_runs_of_other_settings_are_not_averaged():
    found = matrices(opened([record(accuracy=0.4), record(accuracy=0.8, lr=0.5), record(accuracy=0.6, lr=0.1)]))
    assert [(m["caption"], m["rows"][0][1][0][0][1]) for m in found] == [
        ("lr None", "40.0%"),
        ("lr 0.5", "80.0%"),
        ("lr 0.1", "60.0%"),
    ]


def test_attacks_that_differ_deep_down_have_names_of_their_own():
    one, two = record(success=0.5), record(success=0.5)
    for run, size in ((one, 2), (two, 3)):
        trigger = {"name": "patch", "size": size}
        run["spec"]["federated"]["attack"] = {
            "name": "data-poisoning",
            "attack": {"name": "backdoor", "trigger": trigger},
        }
    (found,) = matrices(opened([one, two]))
    assert [name for name, _ in found["rows"]] == [
        "Data poisoning (attack backdoor (trigger patch (size 2)))",
        "Data poisoning (attack backdoor (trigger patch (size 3)))",
    ]


def test_hostile_names_are_text(tmp_path):
    bad = record(attack="<img src=x onerror=alert(1)>")
    html = write_federated(opened([bad]), tmp_path / "page.html").read_text()
    assert "<img src=x" not in html


def test_records_are_not_changed_and_the_page_is_the_same_again(tmp_path):
    records = [record(), record(seed=1)]
    before = copy.deepcopy(records)
    first = write_federated(opened(records), tmp_path / "a.html").read_bytes()
    assert records == before
    assert write_federated(opened(records), tmp_path / "b.html").read_bytes() == first


def test_bad_arguments(tmp_path):
    with pytest.raises(ToadstoneError, match="records is empty"):
        write_federated([], tmp_path / "page.html")
    with pytest.raises(ToadstoneError, match="is a folder"):
        write_federated(opened([record()]), tmp_path)
    with pytest.raises(ToadstoneError, match="a run without a round"):
        write_federated(opened([{**record(), "rounds": []}]), tmp_path / "page.html")


@pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("chromedriver")), reason="needs chromium")
def test_draws_in_a_browser_and_fits_a_phone(tmp_path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    path = write_federated(opened([record(success=0.5), record(rule="median")]), tmp_path / "page.html")
    drawn = "return [...document.querySelectorAll('.chart')].map(c => c.querySelectorAll('svg .role-mark path').length)"
    try:
        for width in (DESKTOP, PHONE):
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            driver.get(path.as_uri())
            WebDriverWait(driver, 30).until(lambda d: all(d.execute_script(drawn)))
            assert len(driver.execute_script(drawn)) == 9  # accuracy, norms, cosines, rejected twice; success once
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert [e for e in driver.get_log("browser") if e["level"] == "SEVERE"] == []
    finally:
        driver.quit()
