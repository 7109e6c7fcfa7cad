"""The review screen in Chromium: from the key to the next job painted; what the page weighs.

    python bench/desk.py [--jobs 200]

One reviewer decides by keys before the product's own web server, at a person's pace and at three
jobs a second. A time runs from the key's own timestamp to the second animation frame after the next
job is in the page: what was painted with the first is on screen by then.
"""

import argparse
import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import Result, say  # noqa: E402
from bench.reviewing import browsers, world  # noqa: E402

COMMAND = "python bench/desk.py"
READY = 10_000
PACES = {"three-a-second": 1 / 3, "human-pace": 1.2}
DEAF_SECONDS = 0.16  # keys do nothing for so long after a job has come
LOADS = 11
TARGETS = {"painted": 100.0, "first": 300.0, "shift": 0.0, "weight": 120.0}

_WATCH = """
(() => {
  const seen = { times: [], shift: 0 };
  window.bench = seen;
  let pressed = null;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") pressed = { at: event.timeStamp, job: window._job?.dataset.job };
  }, { capture: true });
  const look = () => {
    if (pressed && window._job?.dataset.job !== pressed.job) {
      const { at } = pressed;
      pressed = null;
      requestAnimationFrame(() => seen.times.push(performance.now() - at));
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
})();
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="at each pace")
    arguments = parser.parse_args()
    world.set_up()
    world.enter(READY)
    cookie = browsers.sign_in()[0]

    from django.conf import settings
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread; Django would refuse its queries.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with browsers.served(browsers.OURS) as (port, _), sync_playwright() as playwright:
        base = f"http://127.0.0.1:{port}"
        browser = playwright.chromium.launch(
            executable_path=_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": cookie, "url": base}])
        context.add_init_script(_WATCH)
        page = context.new_page()
        url = base + browsers.OURS.first
        _weigh(page, url)
        shift = 0.0
        for pace, seconds in PACES.items():
            page.goto(url)
            page.locator("#_job[data-ahead]").wait_for()
            _decide(page, arguments.jobs, seconds)
            shift += page.evaluate("bench.shift")
            times = page.evaluate("bench.times")
            _report_times(pace, times)
        _write("desk-layout-shift", shift, "of the viewport, unasked for", TARGETS["shift"])
        browser.close()


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit("No Chromium. Set CHROMIUM to its path.")
    return found


def _weigh(page: Any, url: str) -> None:
    """CSS and JavaScript over the wire, cache empty; then the first paint, cache full."""
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    kinds: dict[str, str] = {}
    bytes_of: dict[str, float] = {"Stylesheet": 0, "Script": 0}

    def received(event: dict[str, Any]) -> None:
        kinds[event["requestId"]] = event["type"]

    def finished(event: dict[str, Any]) -> None:
        kind = kinds.get(event["requestId"], "")
        if kind in bytes_of:
            bytes_of[kind] += event["encodedDataLength"]

    client.on("Network.responseReceived", received)
    client.on("Network.loadingFinished", finished)
    page.goto(url, wait_until="networkidle")
    weighed = sum(bytes_of.values()) / 1000
    parts = {kind: round(size / 1000, 1) for kind, size in bytes_of.items()}
    client.detach()
    _write("desk-css-js-kb", weighed, "kB over the wire", TARGETS["weight"], control=parts)
    paints = []
    for _ in range(LOADS):
        page.goto(url, wait_until="load")
        page.wait_for_function(
            "() => performance.getEntriesByName('first-contentful-paint').length"
        )
        paints.append(
            page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        )
    middle = statistics.median(paints)
    _write("desk-first-paint-ms", middle, "ms, median", TARGETS["first"], samples=paints)


def _decide(page: Any, jobs: int, seconds: float) -> None:
    due = time.perf_counter()
    for number in range(jobs):
        job = page.evaluate("_job.dataset.job")
        time.sleep(DEAF_SECONDS)
        page.keyboard.press("1" if number % 4 == 0 else "0")
        due = max(due + seconds, time.perf_counter())
        time.sleep(max(due - time.perf_counter() - DEAF_SECONDS, 0))
        page.keyboard.press("Enter")
        page.wait_for_function("job => _job.dataset.job !== job", arg=job)


def _report_times(pace: str, times: list[float]) -> None:
    p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    say(f"  {pace}: {len(times)} jobs, p50 {p50:.0f} ms, p95 {p95:.0f} ms, worst {max(times):.0f}")
    _write(
        f"desk-key-to-painted-p95-ms-{pace}",
        p95,
        f"ms, p95 of {len(times)} jobs",
        TARGETS["painted"],
        control=f"p50 {p50:.0f} ms",
        samples=[round(one, 1) for one in times],
    )


def _write(name: str, value: float, unit: str, target: float, **more: Any) -> None:
    Result(
        name=name,
        value=value,
        unit=unit,
        target=target,
        command=COMMAND,
        higher_is_better=False,
        **more,
    ).write()


if __name__ == "__main__":
    main()
