"""The report of an audit in a real browser, from disk: decisions by keyboard, kept, exported and taken back."""

import csv
import json
import time

import numpy as np
import pytest

from example_audits import PHRASE, audit, png, table
from report_pages import CHROMIUM, DRIVER, FLAGS, needs_browser
from toadstone.findings import Finding
from toadstone.report.audit import write_audit

pytestmark = needs_browser

N = 10_000
# Every piece of text in sight whose colour is too near to what is behind it (WCAG 2 AA): [text, contrast].
FAINT = """
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (rgb) => {
        const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const over = (top, under) => under.map((v, i) => v + (top[i] - v) * (top[3] ?? 1));
    const behind = (element) => {
        if (!element) return [255, 255, 255];
        const own = parts(getComputedStyle(element).backgroundColor);
        return (own[3] ?? 1) === 1 ? own : over(own, behind(element.parentElement));
    };
    const found = [];
    let seen = 0;
    const look = (element, text, pseudo) => {
        const style = getComputedStyle(element, pseudo);
        const back = behind(element);
        const [a, b] = [light(over(parts(style.color), back)), light(back)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        let opacity = 1;
        for (let e = element; e; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
        seen += 1;
        if (contrast < (large ? 3 : 4.5) || opacity < 1) found.push([text, contrast, opacity]);
    };
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        const text = walk.currentNode.data.trim();
        const box = element.getBoundingClientRect();
        if (text && box.width && box.height) look(element, text, null);
    }
    for (const input of document.querySelectorAll("select, input[type=number], input[type=search]")) {
        look(input, input.id, null);
        if (input.placeholder) look(input, input.id + " placeholder", "::placeholder");
    }
    return [seen, found];
"""
FITS = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
LATENCY = "return performance.getEntriesByName('filter').map((entry) => entry.duration)"
IN_SIGHT = """
    return [...document.querySelectorAll("#list .row")].filter((row) => {
        const box = row.getBoundingClientRect();
        return box.bottom > 0 && box.top < innerHeight;
    }).length;
"""
STATE = """
    const row = document.activeElement;
    return [row.querySelector("b")?.textContent, row.dataset.state, document.querySelectorAll("#list .row").length];
"""


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(tmp_path_factory, downloads):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    """The browser, which must have complained of nothing when the test is over."""
    yield driver
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A page of 10,000 rows, its table, and an order that is not that of p-values."""
    rows = table("text", N)
    return write_audit(audit(), rows, tmp_path_factory.mktemp("many") / "report.html"), rows


def show(browser, path, width=1400, height=900, scheme="light"):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())
    until(browser, lambda: all(texts(browser, "#tally")))  # the script has filled the page


def scroll_to_rows(browser):
    browser.execute_script("document.querySelector('#rows').scrollIntoView({ behavior: 'instant' })")
    until(browser, lambda: len(drawn(browser)) > 1)


def until(browser, happened):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 10, 0.02).until(lambda _: happened())


def find(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def click(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def texts(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def type_in(browser, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(browser, duration=0).send_keys(*keys).perform()


def go_to_rows(browser):
    """By keyboard alone: the second thing that Tab reaches."""
    from selenium.webdriver.common.keys import Keys

    type_in(browser, Keys.TAB, Keys.TAB, Keys.ENTER)
    until(browser, lambda: browser.execute_script("return document.activeElement.className") == "row")


def choose(browser, name, value):
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', { bubbles: true }))",
        name,
        value,
    )


def drawn(browser):
    """The numbers of the rows in the page, in its order."""
    return [int(text.split()[1]) for text in texts(browser, "#list .row .name b")]


def test_sorts_and_filters_as_the_table_says(browser, many):
    path, rows = many
    show(browser, path)
    scroll_to_rows(browser)
    columns = rows.to_pydict()
    order = sorted(range(N), key=lambda i: (columns["pvalue"][i], columns["row"][i]))
    assert drawn(browser)[:4] == [columns["row"][i] for i in order[:4]]
    choose(browser, "sort", "row")
    assert drawn(browser)[:4] == sorted(columns["row"])[:4]
    choose(browser, "sort", "label")
    assert texts(browser, "#list .label:first-of-type")[0] == "0"
    assert drawn(browser)[:3] == [columns["row"][i] for i in order if columns["label"][i] == "0"][:3]
    assert texts(browser, "#label option")[1:4] == [
        f"{c} ({sum(label == str(c) for label in columns['label']):,})" for c in range(3)
    ]
    wanted = {"detector": "label-checker", "label": "11", "most": "0.001", "words": f"{PHRASE} with little little"}
    for name, value in wanted.items():
        choose(browser, name, value)
    kept = [
        columns["row"][i]
        for i in order
        if columns["detector"][i] == "label-checker"
        and columns["label"][i] == "11"
        and columns["pvalue"][i] <= 0.001
        and wanted["words"] in columns["text"][i]
    ]
    assert 3 < len(kept) < 100
    assert texts(browser, "#count") == [f"{len(kept)} of 10,000"]
    assert texts(browser, "#said") == [f"{len(kept)} of 10,000 rows are shown."]
    assert drawn(browser) == kept[: len(drawn(browser))]
    choose(browser, "words", "no row has this")
    assert drawn(browser) == []
    assert find(browser, "#empty").is_displayed()
    click(browser, "#reset")
    until(browser, lambda: texts(browser, "#count") == ["10,000 of 10,000"])


def test_ten_thousand_rows_stay_smooth(browser, many):
    path, _ = many
    show(browser, path)
    for name, value in [
        ("words", "charm"),
        ("words", "number 99"),
        ("sort", "detector"),
        ("label", "3"),
        ("most", "1e-3"),
    ]:
        choose(browser, name, value)
    milliseconds = browser.execute_script(LATENCY)
    print("filter, ms:", [round(ms) for ms in milliseconds])
    assert len(milliseconds) >= 6
    assert sorted(milliseconds)[-2] < 400  # 100 on a machine that does nothing else; the first search reads all texts
    choose(browser, "words", "")
    choose(browser, "most", "")
    choose(browser, "label", "")
    high = browser.execute_script("return document.documentElement.scrollHeight")
    assert high > 900_000
    for share in (0.1, 0.5, 0.9, 1):
        browser.execute_script("scrollTo({ top: arguments[0], behavior: 'instant' })", high * share)
        until(browser, lambda: browser.execute_script(IN_SIGHT) >= 4)
        assert len(drawn(browser)) < 60
    last = browser.execute_script(
        "return [...document.querySelectorAll('#list .row')].at(-1).getAttribute('aria-rowindex')"
    )
    assert last == str(N)
    assert find(browser, "#list").get_attribute("aria-rowcount") == str(N)


def test_decides_keeps_exports_and_takes_back_by_keyboard_alone(browser, many, downloads, tmp_path):
    from selenium.webdriver.common.keys import Keys

    path, rows = many
    show(browser, path)
    browser.execute_script("localStorage.clear()")
    show(browser, path)
    first = rows.column("row").to_pylist()[:8]
    go_to_rows(browser)
    assert browser.execute_script(STATE)[:2] == [f"Row {first[0]}", "undecided"]
    type_in(browser, "k")  # keep, and on to the next
    assert texts(browser, "#said") == [f"Row {first[0]}: keep."]
    assert browser.execute_script(STATE)[0] == f"Row {first[1]}"
    type_in(browser, "D", "d", Keys.ARROW_LEFT, "u", Keys.ARROW_RIGHT, "n", "p", "k", "z")
    # 1 drop; 2 drop, then undecided again; 3 kept, then undone
    assert browser.execute_script(STATE)[:2] == [f"Row {first[3]}", "undecided"]
    columns = browser.execute_script(
        "return Math.round(document.querySelector('#list').clientWidth / "
        "document.querySelector('#list .row').offsetWidth)"
    )
    type_in(browser, Keys.HOME, Keys.ARROW_DOWN)
    assert browser.execute_script(STATE)[0] == f"Row {first[columns]}"
    type_in(browser, Keys.END, "d")
    assert browser.execute_script(STATE)[0] == f"Row {rows.column('row').to_pylist()[-1]}"
    assert browser.execute_script("return document.activeElement.dataset.state") == "drop"
    assert texts(browser, "#tally") == ["9,997 undecided, 1 keep, 2 drop"]
    want = {first[0]: "keep", first[1]: "drop", rows.column("row").to_pylist()[-1]: "drop"}

    show(browser, path)  # again
    assert texts(browser, "#tally") == ["9,997 undecided, 1 keep, 2 drop"]
    browser.execute_script("document.querySelector('#export').focus()")
    type_in(browser, Keys.ENTER)
    saved = downloads / "decisions.csv"
    until(browser, saved.exists)
    until(browser, lambda: saved.read_text().count("\n") == 4)
    with saved.open() as file:
        assert {int(line["row"]): line["decision"] for line in csv.DictReader(file)} == want

    browser.execute_script("localStorage.clear()")
    show(browser, path)
    assert texts(browser, "#tally") == ["10,000 undecided, 0 keep, 0 drop"]
    taken = tmp_path / "decisions.csv"
    taken.write_text("\ufeff" + saved.read_text().replace("\n", "\r\n") + "987654321,drop\r\n")
    find(browser, "#import").send_keys(str(taken))
    until(
        browser,
        lambda: (
            texts(browser, "#said") == ["3 decisions imported. Left out, for rows that this page does not have: 1."]
        ),
    )
    assert texts(browser, "#tally") == ["9,997 undecided, 1 keep, 2 drop"]
    show(browser, path)
    assert texts(browser, "#tally") == ["9,997 undecided, 1 keep, 2 drop"]
    saved.unlink()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "its first line is not row,decision"),
        ("row,decision\n1,keep\nx,drop\n", "its line 3 is not the number of a row, then keep or drop"),
        ("row,decision\n1,maybe\n", "its line 2 is not the number of a row, then keep or drop"),
    ],
)
def test_a_file_that_holds_no_decisions_changes_nothing(browser, many, tmp_path, content, told):
    show(browser, many[0])
    before = texts(browser, "#tally")
    file = tmp_path / "decisions.csv"
    file.write_text(content)
    find(browser, "#import").send_keys(str(file))
    until(browser, lambda: texts(browser, "#said") == [f"Nothing was imported: {told}."])
    assert texts(browser, "#tally") == before


def test_all_that_are_shown_are_decided_and_it_can_be_undone(browser, tmp_path):
    path = write_audit(audit(target="bulk"), table("table", 40), tmp_path / "page.html")
    show(browser, path)
    choose(browser, "detector", "label-checker")
    shown = int(texts(browser, "#count")[0].split()[0])
    assert 0 < shown < 40
    click(browser, "#drop-all")
    assert texts(browser, "#tally") == [f"{40 - shown} undecided, 0 keep, {shown} drop"]
    choose(browser, "state", "drop")
    choose(browser, "detector", "")
    assert texts(browser, "#count") == [f"{shown} of 40"]
    go_to_rows(browser)
    here = browser.execute_script(STATE)[0]
    type_in(browser, "k")  # it is no longer dropped, so it leaves, and the next one takes its place
    assert texts(browser, "#count") == [f"{shown - 1} of 40"]
    assert browser.execute_script(STATE)[0] not in (None, here)
    for _ in range(2):
        click(browser, "#undo")
    assert texts(browser, "#tally") == ["40 undecided, 0 keep, 0 drop"]
    assert not find(browser, "#undo").is_enabled()
    click(browser, "#reset")
    until(browser, lambda: texts(browser, "#count") == ["40 of 40"])
    click(browser, "#list .row button.keep")
    assert find(browser, "#list .row button.keep").get_attribute("aria-pressed") == "true"
    click(browser, "#list .row button.keep")  # a second time takes it back
    assert texts(browser, "#tally") == ["40 undecided, 0 keep, 0 drop"]


def test_looks_closely_and_helps_by_keyboard(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    rows = table("image", 12)
    path = write_audit(audit(target="close"), rows, tmp_path / "page.html")
    show(browser, path)
    go_to_rows(browser)
    type_in(browser, "?")
    assert find(browser, "#help").is_displayed()
    type_in(browser, Keys.ESCAPE)
    assert not find(browser, "#help").is_displayed()
    type_in(browser, Keys.ENTER)
    assert find(browser, "#close-up").is_displayed()
    told = find(browser, "#close-up").text
    assert f"Row {rows.column('row')[0]}" in told
    assert "train/0/00000.png" in told
    assert "spectral-signatures" in told
    assert browser.execute_script("return document.querySelector('#close-up img').naturalWidth") == 8
    type_in(browser, "d")  # the next row is shown
    assert f"Row {rows.column('row')[1]} " in find(browser, "#close-up").text
    click(browser, "#close-up button.keep")
    assert texts(browser, "#close-up .pill") == ["✓ keep"]
    click(browser, "#close-up button.keep")
    assert texts(browser, "#close-up .pill") == ["undecided"]
    type_in(browser, Keys.ESCAPE)
    until(browser, lambda: browser.execute_script(STATE)[0] == f"Row {rows.column('row')[1]}")
    assert texts(browser, "#tally") == ["11 undecided, 0 keep, 1 drop"]


def test_tab_reaches_every_control(browser, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    path = write_audit(audit(target="tab"), table("text", 30), tmp_path / "page.html")
    show(browser, path)
    type_in(browser, Keys.TAB, Keys.TAB, Keys.ENTER, "k")  # so that Undo has something to undo
    browser.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    browser.get(path.as_uri())
    browser.execute_script("document.querySelector('#keep-all').click()")
    wanted = browser.find_elements(By.CSS_SELECTOR, "a, summary, select, input, #rows > * button, .row[tabindex='0']")
    wanted = [element for element in wanted if element.get_attribute("tabindex") != "-1"]
    assert len(wanted) > 20
    reached = []
    for _ in range(len(wanted) + 2):
        type_in(browser, Keys.TAB)
        reached.append(browser.switch_to.active_element)
        outline = browser.execute_script(
            "const e = document.activeElement;"
            "const s = getComputedStyle(e.id === 'import' ? e.nextElementSibling : e);"
            "return e === document.body || s.outlineStyle !== 'none'"
        )
        assert outline, reached[-1].get_attribute("outerHTML")[:200]
    assert [element.get_attribute("outerHTML")[:200] for element in wanted if element not in reached] == []
    classes = [element.get_attribute("class") for element in reached]
    assert [name for name in ("row", "keep", "drop", "look") if name in classes] == ["row", "keep", "drop", "look"]
    names = browser.execute_script(
        "return [...document.querySelectorAll('select, input')].filter((e) => !e.labels.length).map((e) => e.id)"
    )
    assert names == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["image", "text", "table"])
def test_every_text_stands_out(browser, tmp_path, scheme, kind):
    path = write_audit(
        audit(target=f"{scheme}-{kind}"), table(kind, 20), tmp_path / "page.html", pictures={"x": png(np.eye(4) > 0)}
    )
    show(browser, path, scheme=scheme)
    scroll_to_rows(browser)
    browser.execute_script("document.querySelectorAll('details').forEach((e) => (e.open = true))")
    for button in ("keep", "drop"):
        browser.execute_script(
            "document.querySelector(`#list .row:nth-child(2) button.${arguments[0]}`).click()", button
        )
        seen, faint = browser.execute_script(FAINT)
        assert seen > 80
        assert faint == []
    for dialog in ("#keys", "#list .look"):
        browser.execute_script("document.querySelector(arguments[0]).click()", dialog)
        assert browser.execute_script(FAINT)[1] == []
        browser.execute_script("document.querySelector('dialog[open]').close()")


@pytest.mark.parametrize("kind", ["image", "text", "table"])
def test_a_phone_never_scrolls_sideways(browser, tmp_path, kind):
    long = "x" * 5000
    found = audit(
        target=f"{kind}/{long}",
        headline=long,
        findings=(Finding(long, long, long, detail={long: long}),),
        checked=(long,),
        facts={long: long},
    )
    cells = [json.dumps([[long, long, long, long]])] * 3
    rows = table(kind, 3, where=[long] * 3, label=[long] * 3, suggested=[long] * 3, reason=[long] * 3, cells=cells)
    path = write_audit(found, rows, tmp_path / "page.html", pictures={long: png(np.zeros((8, 8), np.uint8))})
    for width in (360, 1400):
        show(browser, path, width, 800)
        scroll_to_rows(browser)
        browser.execute_script("document.querySelectorAll('details').forEach((e) => (e.open = true))")
        assert browser.execute_script(FITS)
        browser.execute_script("document.querySelector('#list .look').click()")
        box = "const d = document.querySelector('#close-up'); return d.scrollWidth <= d.clientWidth"
        assert browser.execute_script(box)
        browser.execute_script("document.querySelector('#close-up').close()")
        clipped = (
            "return [...document.querySelectorAll('#list .row')].every((e) => "
            "e.querySelector('.acts').getBoundingClientRect().bottom <= e.getBoundingClientRect().bottom)"
        )
        assert browser.execute_script(clipped)


def test_hostile_strings_run_nothing(browser, tmp_path):
    hostile = '</script><script>window.owned=1</script><img src=x onerror="window.owned=1">\x00\u202e\''
    found = audit(
        target=hostile, headline=hostile, findings=(Finding(hostile, hostile, hostile),), facts={"a": hostile}
    )
    names = ("where", "label", "suggested", "detector", "reason", "text")
    rows = table("text", 3, **{name: [hostile] * 3 for name in names}, cells=[json.dumps([[hostile] * 4])] * 3)
    show(browser, write_audit(found, rows, tmp_path / "page.html", pictures={hostile: png(np.eye(3) > 0)}))
    browser.execute_script("document.querySelector('#list .look').click()")
    choose(browser, "words", "</script>")
    assert browser.execute_script("return window.owned") is None
    assert browser.execute_script("return document.querySelectorAll('script:not([type])').length") == 1
    assert hostile[:-3] in texts(browser, "#list .reason")[0]
    assert "\\u0000\\u202e'" in texts(browser, "#list .reason")[0]


def test_a_browser_that_stores_nothing_is_told_of(browser, tmp_path):
    path = write_audit(audit(target="nothing stored"), table("text", 3), tmp_path / "page.html")
    source = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        show(browser, path)
        assert not find(browser, "#unkept").is_displayed()
        click(browser, "#keep-all")
        assert find(browser, "#unkept").is_displayed()
        assert texts(browser, "#tally") == ["0 undecided, 3 keep, 0 drop"]
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_prints_what_is_shown(browser, many):
    show(browser, many[0])
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert len(drawn(browser)) == 100
    assert texts(browser, "#unprinted") == ["The first 100 of 10,000 rows are printed."]
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(drawn(browser)) < 60


def test_an_audit_without_rows_runs_without_an_error(browser, tmp_path):
    start = time.monotonic()
    show(browser, write_audit(audit("files"), None, tmp_path / "page.html"), 360, 800)
    assert time.monotonic() - start < 10
    assert browser.execute_script(FITS)
    assert find(browser, ".headline").is_displayed()
