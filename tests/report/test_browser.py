"""The page in a real browser, from disk, at two widths and in both colour schemes."""

import pytest

from report_pages import CHROMIUM, DRIVER, FLAGS, needs_browser
from toadstone.report import figures, write

pytestmark = needs_browser

DRAWN = """
    const marks = ['rect', 'symbol', 'line'].map(kind => `svg .mark-${kind}.role-mark path`).join(', ');
    return [...document.querySelectorAll('.chart')].map(chart => chart.querySelectorAll(marks).length);
"""
FETCHED = "return performance.getEntriesByType('resource').map(e => e.name).filter(name => !name.startsWith('data:'))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(browser, path, width=1400, scheme="light"):
    from selenium.webdriver.support.ui import WebDriverWait

    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(lambda b: all(b.execute_script(DRAWN)))


def severe(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_draws_every_figure_without_an_error(browser, record, path):
    show(browser, path)
    marks = browser.execute_script(DRAWN)
    assert len(marks) == len(figures(record))
    assert min(marks) > 0
    assert severe(browser) == []
    assert browser.execute_script(FETCHED) == []


def test_never_scrolls_sideways(browser, maker, tmp_path):
    long = "a class with a name that is far too long, and" + "x" * 80
    records = [maker(classes=(long, "b", f"{long} too", "d")), maker("text"), maker("table")]
    path = write(records, tmp_path / "page.html")
    inside = "return [...document.querySelectorAll('.chart svg')].every(s => s.getBoundingClientRect().right <= "
    inside += "innerWidth)"
    for width in (400, 1400):
        show(browser, path, width)
        wide, there = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert there == width
        assert wide <= width
        assert browser.execute_script(inside)


def test_hostile_names_run_nothing(browser, maker, tmp_path):
    hostile = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    show(browser, write([maker("text", classes=(hostile, "b", hostile, "d"))], tmp_path / "page.html"))
    assert "owned" not in browser.title
    assert severe(browser) == []


def test_light_and_dark_at_once_and_on_change(browser, path):
    look = """
        const css = (s, p) => getComputedStyle(document.querySelector(s))[p];
        return [css('body', 'backgroundColor'), css('body', 'color'),
                css('.chart svg [fill="#d55e00"]', 'fill'), css('.chart svg text', 'fill')]
    """
    show(browser, path, scheme="light")
    light = browser.execute_script(look)
    feature = {"name": "prefers-color-scheme", "value": "dark"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    changed = browser.execute_script(look)
    show(browser, path, scheme="dark")
    assert browser.execute_script(look) == changed
    assert all(a != b for a, b in zip(light, changed, strict=True))
    assert _brightness(light[0]) > _brightness(light[1]) + 150
    assert _brightness(changed[0]) < _brightness(changed[1]) - 150
    assert _brightness(changed[3]) > _brightness(changed[0]) + 100


def _brightness(colour):
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


def test_the_keyboard_reaches_everything(browser, path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, path)
    wanted = browser.find_elements(By.CSS_SELECTOR, "a, summary, .scroll:not(details *)")
    reached = []
    for _ in range(len(wanted) + 2):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(browser.switch_to.active_element)
        if len(reached) == 1:
            assert reached[0].text == "Skip to the report"
    assert all(element in reached for element in wanted)
    summary = browser.find_element(By.CSS_SELECTOR, "summary")
    summary.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "details pre").is_displayed()
    browser.execute_script("document.querySelector('.skip').focus()")  # it is out of sight until it has the focus
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "main"


def test_the_map_shows_a_row_under_the_pointer(browser, path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    show(browser, path)
    browser.execute_script("document.querySelector('#r1-activations').scrollIntoView({behavior: 'instant'})")
    point = browser.find_elements(By.CSS_SELECTOR, "#r1-activations .mark-symbol.role-mark path")[0]
    ActionChains(browser).move_to_element(point).perform()
    shown = WebDriverWait(browser, 10).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element img"))
    assert shown[0].get_attribute("src").startswith("data:image/png;base64,")
    assert browser.execute_script("return arguments[0].naturalWidth", shown[0]) == 16
