"""Who may open the page: browsers of this machine, on this page alone.

The page's way back is a websocket, which no browser keeps other pages from: each page
that a user has open anywhere could ask it, and a name of the web that is bound to this
machine's address could read it. Both say who they are, and are refused.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

__all__ = ["is_own", "stand_before"]

_NAMES = {"127.0.0.1", "localhost", "::1"}
_HEADS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def is_own(host: str, origin: str | None) -> bool:
    """Say whether a request was meant for this machine, and comes from its own page.

    Args:
        host: The header Host.
        origin: The header Origin; None where there is none, as of a page's own start.
    """
    try:
        name = urlsplit(f"//{host}").hostname
        asking = None if origin is None else urlsplit(origin)
    except ValueError:
        return False
    is_here = name in _NAMES
    return is_here and (
        asking is None or (asking.scheme, asking.netloc) == ("http", host)
    )


def stand_before(server: Any) -> None:
    """Put the guard before all that a trame server answers; called before it starts."""
    server.app.middlewares.append(_refuse_others)


@web.middleware
async def _refuse_others(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    if not is_own(request.headers.get("Host", ""), request.headers.get("Origin")):
        words = "This page is for browsers of this machine, by its address 127.0.0.1."
        return web.Response(status=403, text=words)
    answer = await handler(request)
    if not answer.prepared:
        answer.headers.update(_HEADS)
    return answer
