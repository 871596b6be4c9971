"""How smoothly the screening report scrolls and filters, in headless Chromium.

    python benchmarks/report_page.py --images 10000

Prints the page's size, and per step of scrolling the wall time between two frames and
the time that the page's thread computed. The second hardly depends on what else the
machine does; a frame of 60 a second has 16.7 ms.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import CDPSession, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from runs import make_row, make_run

from medcnn.report import write_report

STEPS = 120

SCROLL = """
async ([steps, by]) => {
  const frames = [];
  let last = performance.now();
  for (let n = 0; n < steps; n += 1) {
    window.scrollBy(0, by);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - last);
    last = now;
  }
  return frames;
}
"""


def main() -> None:
    """Make a run, open its report, scroll and filter it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page_file = make(Path(folder), asked.images)
        size = page_file.stat().st_size / 2**20
        print(f"{asked.images:,} images, report.html {size:.1f} MiB")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=asked.chromium, args=["--no-sandbox", "--disable-gpu"]
            )
            measure(
                browser.new_page(viewport={"width": 1400, "height": 900}), page_file
            )
            browser.close()


def make(folder: Path, count: int) -> Path:
    """Write a run of so many images, each with its own picture."""
    rows = [make_row(n, probability=1 - n / (count + 1)) for n in range(1, count + 1)]
    return write_report(make_run(folder, rows))


def measure(page: Page, file: Path) -> None:
    """Open, scroll slowly and by leaps, filter; print what each took."""
    link = page.context.new_cdp_session(page)
    link.send("Performance.enable", {"timeDomain": "threadTicks"})
    began = time.perf_counter()
    page.goto(file.as_uri())
    page.locator("#cards .card").first.wait_for()
    print(f"open until the first card: {time.perf_counter() - began:.2f} s")
    print(f"of that computed: {spent(link):.2f} s")
    for view in ("cards", "table"):
        if view == "table":
            page.locator("#view").click()
        for words, by in (("wheel, 120 px", 120), ("leaps, 5,000 px", 5000)):
            before = spent(link)
            frames = page.evaluate(SCROLL, [STEPS, by])
            each = (spent(link) - before) / STEPS * 1000
            quick = statistics.median(frames)
            slow = sorted(frames)[int(0.95 * STEPS)]
            print(
                f"{view}, {words}: {each:.1f} ms computed a frame; between frames "
                f"{quick:.1f} ms (median), {slow:.1f} ms (95 %)"
            )
        page.evaluate("scrollTo(0, 0)")
    before = spent(link)
    page.locator("#search").fill("0001")
    page.locator("#search").fill("")
    print(f"two filters: {(spent(link) - before) * 1000:.0f} ms computed")
    drawn = page.locator("[data-index]").count()
    print(f"elements of images in the page: {drawn}")


def spent(link: CDPSession) -> float:
    """Return seconds of computing of the page's thread so far."""
    found = link.send("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in found if m["name"] == "TaskDuration")


if __name__ == "__main__":
    main()
