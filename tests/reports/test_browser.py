"""The page in headless Chromium: nothing logged, nothing loaded, charts drawn, a click opens the counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from payloads import STORABLE
from report_browser import Page, browse, executable
from report_runs import FrameCounts

from infolake.reports import write

pytestmark = pytest.mark.chromium
Run = tuple[Path, FrameCounts]
ELEMENTS = "main img, iframe, object, embed, base, form, main svg, video, h1 ~ h1"
FOREIGN = f"document.querySelectorAll('{ELEMENTS}').length"
TOOLTIP = """((all) => {
  const visit = (root) => { for (const e of root.querySelectorAll('*')) {
    all.push(e);
    if (e.shadowRoot) visit(e.shadowRoot);
  } };
  visit(document);
  const tip = all.find((e) => e.classList.contains('bk-Tooltip') && e.offsetWidth);
  if (!tip) return null;
  all.length = 0;
  visit(tip.shadowRoot);
  return all;
})([])"""
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
CELL = """(() => {
  const document_ = Bokeh.documents.find((d) => d.roots()[0].id.startsWith('q0-heat'));
  const plot = Object.values(Bokeh.index.roots).find((v) => v.model === document_.roots()[0]);
  const box = plot.el.getBoundingClientRect(), inner = plot.frame.bbox, xs = plot.model.x_range.factors;
  plot.el.scrollIntoView({block: 'center', behavior: 'instant'});
  const at = plot.el.getBoundingClientRect(), step = inner.width / xs.length;
  return [at.left + inner.left + step * 1.5, at.top + inner.top + inner.height / xs.length / 2];
})()"""


@pytest.fixture(scope="module", autouse=True)
def _browser() -> None:
    executable()


def made(run: Run, target: Path, part: str = "") -> Path:
    folder, counts = run
    return write(folder / part, target, load=lambda _: counts)


def quiet(page: Page) -> None:
    assert page.problems == []
    assert [r for r in page.requests if not r.startswith(("file:", "data:"))] == []


def test_charts_are_drawn_and_a_cell_opens_its_counts(run: Run, tmp_path: Path) -> None:
    path = made(run, tmp_path / "page.html")

    async def scenario(page: Page) -> None:
        await page.open(path)
        assert await page.run("document.documentElement.dataset.ready") == "3"
        assert await page.run("document.querySelectorAll('.chart > div').length") == 3
        x, y = await page.run(CELL)
        await page.mouse("mouseMoved", x, y)
        await page.click(x, y)
        await page.until("document.getElementById('pair').open")
        assert await page.run("document.querySelectorAll('.cells td').length") > 4
        assert (await page.run("location.hash")).startswith("#pair=pairs/")
        await page.run("document.getElementById('pair-close').click()")
        assert not await page.run("document.getElementById('pair').open")
        quiet(page)

    browse(scenario)


def test_sorting_searching_and_a_link_to_a_pair(run: Run, tmp_path: Path) -> None:
    path = made(run, tmp_path / "page.html")

    async def scenario(page: Page) -> None:
        await page.open(path, "#pair=pairs/origin/carrier")
        assert await page.run("document.getElementById('pair').open")
        assert await page.run("document.getElementById('pair-title').textContent") == "origin × carrier"
        totals = await page.run(
            "[...document.querySelectorAll('.cells tr:last-child td')].at(-1).textContent"
        )
        assert totals == "600"
        await page.run("document.getElementById('pair-close').click()")
        first = "document.querySelector('#q0-table tbody tr').textContent"
        await page.run("document.querySelectorAll('#q0-table .sort')[0].click()")
        assert (await page.run(first)).startswith("carrier")
        await page.run("document.querySelectorAll('#q0-table .sort')[2].click()")
        assert (
            await page.run("document.querySelectorAll('#q0-table th')[2].getAttribute('aria-sort')")
            == "descending"
        )
        await page.run(
            "(() => { const s = document.getElementById('q0-search'); s.value = 'TAIL';"
            " s.dispatchEvent(new Event('input')); })()"
        )
        assert await page.run("document.querySelectorAll('#q0-table tbody tr').length") == 5
        for chart, rows in (("rank", 2), ("heat", 3)):
            choice = f"document.getElementById('{'q1' if chart == 'rank' else 'q0'}-{chart}-measure')"
            for k in range(rows):
                await page.run(f"{choice}.value = '{k}'; {choice}.dispatchEvent(new Event('change'))")
        quiet(page)

    browse(scenario)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_makes_the_page_scroll_sideways(scheme: str, run: Run, tmp_path: Path) -> None:
    path = made(run, tmp_path / "page.html")

    async def scenario(page: Page) -> None:
        await page.send(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        await page.open(path, "#pair=pairs/origin/tail")
        for width in (1400, 500, 360):
            await page.send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            await page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert not await page.run(WIDER)
        assert (
            await page.run("getComputedStyle(document.body).backgroundColor")
            == {"light": "rgb(246, 247, 249)", "dark": "rgb(13, 17, 23)"}[scheme]
        )
        quiet(page)

    browse(scenario)


@pytest.mark.parametrize("part", ["wide", "pairs"])
def test_hostile_data_does_nothing(part: str, hostile: Run, tmp_path: Path) -> None:
    path = made(hostile, tmp_path / "page.html", part)

    async def scenario(page: Page) -> None:
        await page.send(
            "Emulation.setDeviceMetricsOverride", width=1200, height=900, deviceScaleFactor=1, mobile=False
        )
        await page.open(path)
        for button in ("#q0-table .more", "#q0-table .open"):
            await page.run(
                f"[...document.querySelectorAll('{button}')].slice(0, {len(STORABLE)})"
                ".forEach((b) => b.click())"
            )
        if part == "pairs":
            await page.run("document.getElementById('pair').close()")
            x, y = await page.run(CELL)
            await page.mouse("mouseMoved", x, y)
            await page.mouse("mouseMoved", x + 2, y + 2)
            await page.until(f"{TOOLTIP} !== null")
            assert "rows" in await page.run(f"{TOOLTIP}.map((e) => e.textContent).join()")
            tags = "/^(DIV|SPAN|STYLE|P|LINK)$/"
            assert await page.run(f"{TOOLTIP}.every((e) => {tags}.test(e.tagName))")
        assert await page.run("typeof hacked") == "undefined"
        assert await page.run(FOREIGN) == 0
        assert not await page.run(WIDER)
        quiet(page)

    browse(scenario)
