"""Who may open the page, asked as other web pages would ask."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest
from medcnn_trame.guard import is_own, stand_before


@pytest.mark.parametrize(
    ("host", "origin", "taken"),
    [
        ("127.0.0.1:8080", None, True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("localhost:8080", "http://localhost:8080", True),
        ("[::1]:8080", "http://[::1]:8080", True),
        ("127.0.0.1:8080", "http://evil.example", False),
        ("127.0.0.1:8080", "http://127.0.0.1:3000", False),  # another local page
        ("127.0.0.1:8080", "https://127.0.0.1:8080", False),
        ("127.0.0.1:8080", "null", False),  # a page in a sandbox, or a file
        ("127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", False),
        ("evil.example:8080", "http://evil.example:8080", False),  # a name bound here
        ("127.0.0.1.evil.example", None, False),
        ("", None, False),
        ("[", None, False),
    ],
)
def test_only_the_page_itself_is_heard(host, origin, taken):
    assert is_own(host, origin) is taken


class Server:
    """What trame shows of its server before it starts."""

    def __init__(self):
        self.app = aiohttp.web.Application()


def test_a_foreign_page_gets_no_websocket_and_no_frame():
    with ThreadPoolExecutor(1) as beside:  # the browser of other tests has a loop here
        beside.submit(asyncio.run, _ask_as_others()).result()


async def _ask_as_others():
    server = Server()
    stand_before(server)

    async def socket(request):
        answer = aiohttp.web.WebSocketResponse()
        await answer.prepare(request)
        await answer.close()
        return answer

    async def page(request):
        return aiohttp.web.Response(text="page")

    server.app.add_routes([aiohttp.web.get("/ws", socket), aiohttp.web.get("/", page)])
    runner = aiohttp.web.AppRunner(server.app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as asks:
            async with asks.ws_connect(f"{here}/ws", headers={"Origin": here}):
                pass
            foreign = {"Origin": "http://evil.example"}
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await asks.ws_connect(f"{here}/ws", headers=foreign)
            async with asks.get(here) as answer:
                assert answer.status == 200
                heads = answer.headers["Content-Security-Policy"]
                assert heads == "frame-ancestors 'none'"
            async with asks.get(here, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403
                assert "127.0.0.1" in await answer.text()
    finally:
        await runner.cleanup()
