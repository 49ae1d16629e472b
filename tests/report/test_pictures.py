import base64
import io

import numpy as np
import pytest
from PIL import Image

from toadstone.experiments.record import old_record
from toadstone.experiments.words import percent, rate
from toadstone.report import figures
from toadstone.report.pictures import changed, enlarged, marked, reversed_triggers, thumbnail
from toadstone.report.tables import every_figure


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 3)])
def test_enlarged_images_show_each_pixel_as_a_block(shape):
    x = np.random.default_rng(0).uniform(0, 255, shape)
    data = base64.b64decode(enlarged(x, 20).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), x.astype(np.uint8).repeat(5, 0).repeat(5, 1))


def test_thumbnails_keep_small_images_as_they_are():
    rng = np.random.default_rng(0)
    for shape in ((8, 8), (8, 6, 3), (5, 5, 1)):
        row = rng.integers(0, 256, shape, np.uint8)
        for given in (row, row / 255):
            data = base64.b64decode(thumbnail(given).removeprefix("data:image/png;base64,"))
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), row.squeeze())


def test_marked_words_and_changed_columns():
    old = " ".join(f"w{i}" for i in range(60))
    runs = marked(old, old.replace("w30", "cf w30"))
    assert ("new", "cf") in runs
    assert sum(len(text.split()) for _, text in runs) < 40
    a, b = np.zeros(50), np.zeros(50)
    b[[4, 7]] = 3, -9
    assert changed(a, b) == ([(4, "0", "3"), (7, "0", "-9")], 0)
    assert changed(a, a + 1)[1] == 42


def test_numbers_read_well():
    assert [percent(v) for v in (0, 0.0001, 0.25, 1, float("nan"), None)] == [
        "0.0%",
        "<0.1%",
        "25.0%",
        "100.0%",
        "not measured",
        "not measured",
    ]
    assert rate({"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}) == "50.0% [25.0%,\u00a075.0%]"
    assert rate(None) == rate({"value": None, "low": 0, "high": 1, "n": 0}) == "not measured"


def test_figures_save_as_pictures(record, tmp_path):
    charts = figures(record)
    charts["repairs"].save(tmp_path / "repairs.svg")
    charts["activations"].save(tmp_path / "map.png")
    assert "<svg" in (tmp_path / "repairs.svg").read_text()
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_a_class_beyond_all_measure_is_named_though_it_has_no_bar(maker):
    record = maker()
    results = record.results
    results["inspectors"]["neural-cleanse"]["poisoned"]["values"] = [0.1, 0.2, None, 0.3]
    record = old_record({**record.info, "results": results}, record.arrays)
    assert "no bar, for class hare" in figures(record)["anomaly/neural-cleanse"].description
    told = {name: found for _, rows in every_figure(record) for name, found, _ in rows}
    assert told["greatest anomaly"] == "no finite value"
    shown = reversed_triggers(record, "neural-cleanse", "poisoned")
    assert [trigger["class"] for trigger in shown if trigger["accused"]] == ["hare"]
