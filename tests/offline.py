"""Pages as a browser opens them that must not complain."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["opened_offline"]


@contextmanager
def opened_offline(browser: Any, address: str, *, width: int) -> Iterator[Any]:
    """Open a page without any network; fail if the browser complained of it."""
    viewport = {"width": width, "height": 900}
    context = browser.new_context(offline=True, viewport=viewport)
    page = context.new_page()
    complaints: list[str] = []

    def note(request: Any) -> None:
        # aborted is what was asked for when the page was left, by a reload say
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.url}: {request.failure}")

    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", note)
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(address)
    yield page
    context.close()
    assert not complaints, complaints
