"""What does a person see who opens the status page in a real browser?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from ops.adapters.status_server import StatusServer
from tests.scheduler import sample
from tests.scheduler.browser import Browser, browsing

pytestmark = pytest.mark.browser

CONTRAST = """
const linear = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
const light = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
const parse = c => c.match(/[\\d.]+/g).map(Number);
const behind = e => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c.slice(0, 3);
  }
  return [255, 255, 255];
};
const ratio = e => {
  const both = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
  return (both[0] + .05) / (both[1] + .05);
};
return [...document.querySelectorAll('body *:not(svg *)')]
  .filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) && e.getClientRects().length)
  .map(e => [ratio(e), e.tagName + '.' + e.className, e.innerText.slice(0, 30)])
  .filter(one => one[0] < 4.5)
"""
"""Texts whose contrast is below 4.5. Source: WCAG 2.1, success criterion 1.4.3."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if os.environ.get("OPS_REQUIRE_DOCKER") != "1" and not shutil.which("chromedriver"):
        pytest.skip("NO CHROMEDRIVER: set OPS_REQUIRE_DOCKER=1 to make this fail")
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    kinds = {"good": {}, "bad": {"is_failing": True}, "empty": {"is_empty": True}}
    servers = {name: StatusServer(lambda kind=kind: sample.status(**kind), port=0) for name, kind in kinds.items()}
    for server in servers.values():
        server.start()
    yield {name: f"http://127.0.0.1:{server.port}/" for name, server in servers.items()}
    for server in servers.values():
        server.stop()


@pytest.fixture
def page(browser, addresses):
    browser.prefer("light")
    browser.resize(1100, 1800)
    browser.console()

    def show(kind: str) -> Browser:
        browser.open(addresses[kind])
        return browser

    return show


def texts(browser: Browser, selector: str) -> list[str]:
    return browser.run(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.replace(/\\s+/g, ' ').trim())",
        selector,
    )


def test_it_answers_at_a_glance_how_old_the_last_backup_is(page):
    browser = page("good")

    assert texts(browser, "h1") == ["All is well"]
    assert texts(browser, ".tile b") == ["12 h 4 min ago", "10 h 4 min ago", "in 4 h 55 min", "14 backups"]
    assert texts(browser, ".notices li") == []


def test_each_job_has_ninety_days_with_failures_catch_ups_and_retries_marked(page):
    browser = page("good")

    states = browser.run(
        "return ['ok', 'late', 'retried', 'failed', 'none']"
        ".map(s => document.querySelectorAll('#job-backup .day.' + s).length)"
    )
    assert states == [84, 2, 1, 2, 1]
    assert texts(browser, ".job h3") == ["backup", "prune", "drill", "check"]
    titles = browser.run(
        "return [...document.querySelectorAll('#job-backup .day.failed')].map(e => e.parentNode.textContent)"
    )
    assert titles == ["Tue 22 Sep 2026: failed - disk full", "Wed 23 Sep 2026: failed - disk full"]


def test_sizes_and_durations_are_drawn_as_bars_of_visible_height(page):
    browser = page("good")

    for kind in ("sizes", "times"):
        heights = browser.run(
            "return [...document.querySelectorAll('.chart.' + arguments[0] + ' rect')]"
            ".map(e => e.getBoundingClientRect().height)",
            kind,
        )
        assert len(heights) == 87
        assert min(heights) > 40
        assert max(heights) <= 150


def test_backups_and_runs_are_listed_newest_first(page):
    browser = page("good")

    assert texts(browser, "[aria-labelledby=backups] tbody tr")[0] == (
        "20261122T010000Z 12 h 4 min ago 43.3 MB 0002 drilledoff-site"
    )
    assert len(texts(browser, "[aria-labelledby=backups] tbody tr")) == 8
    assert texts(browser, "[aria-labelledby=runs] tbody tr")[0].startswith("Sun 22 Nov, 13:00 check ok")


def test_what_is_wrong_is_on_top_and_in_words(page):
    browser = page("bad")

    assert texts(browser, "h1") == ["Needs attention"]
    assert texts(browser, ".notices li") == [
        "the newest successful backup is 2 d 12 h old, allowed are 1 d 2 h",
        "backup failed 2 times in a row",
        "the failure of backup could not be told: json: no answer",
    ]
    assert texts(browser, "#job-backup .pill") == ["too old"]


def test_before_the_first_run_it_says_that_it_waits(page):
    browser = page("empty")

    assert texts(browser, "h1") == ["Waiting for the first run"]
    assert texts(browser, ".empty") == [
        "no backup sizes known yet", "no backup durations known yet", "no backup in the catalog yet",
        "nothing has run yet",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["good", "bad", "empty"])
def test_the_browser_has_nothing_to_complain_about_and_loads_nothing_else(page, kind):
    browser = page(kind)

    assert browser.console() == []
    assert browser.run("return performance.getEntriesByType('resource').map(e => e.name)") == []


def test_dark_is_dark_and_light_is_light(page):
    browser = page("good")
    background = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"

    light = browser.run(background)
    browser.prefer("dark")
    dark = browser.run(background)

    assert min(light) > 230
    assert max(dark) < 40


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["good", "bad", "empty"])
def test_every_text_stands_out_from_what_is_behind_it(page, kind, scheme):
    browser = page(kind)
    browser.prefer(scheme)

    assert browser.run(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 375, 768, 1100, 1920])
@pytest.mark.parametrize("kind", ["good", "bad"])
def test_it_fits_every_screen_without_scrolling_sideways(page, kind, width):
    browser = page(kind)

    browser.resize(width, 800)

    assert browser.run("return document.documentElement.scrollWidth") <= width
    smallest = browser.run(
        "return Math.min(...[...document.querySelectorAll('p, dd, dt, small, td, li, span')]"
        ".filter(e => e.innerText).map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12


def test_a_reader_of_screens_is_told_what_the_drawings_show(page):
    browser = page("good")

    labels = browser.run("return [...document.querySelectorAll('svg')].map(e => e.getAttribute('aria-label'))")

    assert labels[0] == "backup, last 90 days: 87 good, 2 failed"
    assert all(labels)
