"""Fetching pages against a real server: what is refused, what is capped, and how bytes become text."""

import gzip
import socket
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address

import pytest
from aiohttp import web

from actions.connectors.addresses import is_public, networks
from actions.connectors.pages import Caps, GuardedPages
from actions.pages import PageUnavailable
from core.clock import SystemClock
from tests.support.ports import free_port

HERE = networks(["127.0.0.2/32"])


class Names:
    """A resolver that answers from a script, the last answer again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def serving(handle):
    """A web server on 127.0.0.2 and 127.0.0.1, and how often each was reached."""
    reached: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        reached.append(request.transport.get_extra_info("sockname")[0])
        return await handle(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    with (
        socket.create_server(("127.0.0.2", port)) as first,
        socket.create_server(("127.0.0.1", port)) as second,
    ):
        for listener in (first, second):
            listener.setblocking(False)
            await web.SockSite(runner, listener).start()
        try:
            yield port, reached
        finally:
            await runner.cleanup()


def pages(port: int, *, names: Names | None = None, **caps) -> GuardedPages:
    made = Caps(ports=frozenset({port}), **{"allowed_networks": HERE, "total": timedelta(seconds=5), **caps})
    return GuardedPages(SystemClock().now, made, **({"resolve": names} if names else {}))


async def answer(request: web.Request) -> web.Response:
    return web.Response(text="<p>Kettle 39.00 EUR</p>", content_type="text/html")


async def test_a_page_comes_with_its_text_and_where_it_stood_in_the_end():
    async def handle(request):
        if request.path == "/old":
            raise web.HTTPFound("/new")
        return await answer(request)

    async with serving(handle) as (port, reached):
        page = await pages(port).get(f"http://127.0.0.2:{port}/old")
    assert (page.url, page.status) == (f"http://127.0.0.2:{port}/new", 200)
    assert (page.content_type, page.text) == ("text/html", "<p>Kettle 39.00 EUR</p>")
    assert reached == ["127.0.0.2", "127.0.0.2"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0"),
        *(
            "localhost",
            "localhost.",
            "LOCALHOST",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
        ),
        *("[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fc00::1]"),
        *("[ff02::1]", "[2001:db8::1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "127。0。0。1", "①②⑦.0.0.1"),
    ],
)
async def test_no_way_of_writing_an_inner_address_reaches_it(host):
    async with serving(answer) as (port, reached):
        with pytest.raises(PageUnavailable):
            await pages(port, allowed_networks=()).get(f"http://{host}:{port}/")
    assert reached == []


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:1/", "javascript:alert(1)", "//example.com"),
        *(
            "http://",
            "https:///x",
            "http://user:pass@127.0.0.2:{port}/",
            "http://127.0.0.2:22/",
            "http://127.0.0.2:99999/",
        ),
        *("http://[::1", "http://127.0.0.2:{port}/" + "a" * 2100, "", "http://exa mple.com/", "http://a..b/"),
    ],
)
async def test_what_is_no_page_of_the_web_is_refused_before_anything_is_sent(url):
    async with serving(answer) as (port, reached):
        with pytest.raises(PageUnavailable):
            await pages(port, names=Names(["127.0.0.2"])).get(url.replace("{port}", str(port)))
    assert reached == []


async def test_one_inner_address_among_public_ones_is_enough_to_refuse():
    names = Names(["93.184.216.34", "127.0.0.1"])
    async with serving(answer) as (port, reached):
        with pytest.raises(PageUnavailable, match=r"127\.0\.0\.1 is an address inside a network"):
            await pages(port, names=names).get(f"http://shop.example:{port}/")
    assert reached == []


async def test_a_name_is_resolved_once_and_what_it_says_a_moment_later_reaches_nothing():
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with serving(answer) as (port, reached):
        await pages(port, names=names).get(f"http://shop.example:{port}/")
        assert names.asked == 1
        with pytest.raises(PageUnavailable, match="inside a network"):
            await pages(port, names=names).get(f"http://shop.example:{port}/")
    assert reached == ["127.0.0.2"]


async def test_a_name_that_changes_between_two_hops_is_looked_at_again():
    async def handle(request):
        raise web.HTTPFound(f"http://shop.example:{request.url.port}/again")

    async with serving(handle) as (port, reached):
        with pytest.raises(PageUnavailable, match="inside a network"):
            await pages(port, names=Names(["127.0.0.2"], ["127.0.0.1"])).get(f"http://shop.example:{port}/")
    assert reached == ["127.0.0.2"]


@pytest.mark.parametrize(
    "location",
    [
        *("http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://2130706433:{port}/", "http://[::1]:{port}/"),
        *("file:///etc/passwd", "http://127.0.0.2:1/", "http://u:p@127.0.0.2:{port}/", "http://[::1", "https://"),
    ],
)
async def test_a_redirect_is_checked_like_any_other_address(location):
    async def handle(request):
        return web.Response(status=302, headers={"Location": location.replace("{port}", str(request.url.port))})

    async with serving(handle) as (port, reached):
        with pytest.raises(PageUnavailable):
            await pages(port).get(f"http://127.0.0.2:{port}/")
    assert reached == ["127.0.0.2"]


async def test_redirects_end_after_five():
    async def handle(request):
        raise web.HTTPFound(f"/{int(request.path[1:] or 0) + 1}")

    async with serving(handle) as (port, reached):
        with pytest.raises(PageUnavailable, match="leads on and on"):
            await pages(port).get(f"http://127.0.0.2:{port}/")
    assert len(reached) == 6


async def test_a_page_is_read_to_its_cap_and_no_further():
    async def handle(request):
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        for _ in range(200):
            await response.write(b"x" * 10_000)
        return response

    async with serving(handle) as (port, _):
        with pytest.raises(PageUnavailable, match="larger than 50000 bytes"):
            await pages(port, most_bytes=50_000).get(f"http://127.0.0.2:{port}/")


async def test_a_small_page_that_unpacks_to_a_large_one_is_not_unpacked_past_the_cap():
    packed = gzip.compress(b"\0" * 50_000_000, compresslevel=9)
    assert len(packed) < 50_000

    async def handle(request):
        return web.Response(body=packed, headers={"Content-Type": "text/html", "Content-Encoding": "gzip"})

    async with serving(handle) as (port, _):
        with pytest.raises(PageUnavailable, match="larger than 50000 bytes"):
            await pages(port, most_bytes=50_000).get(f"http://127.0.0.2:{port}/")


async def test_a_page_that_never_ends_is_given_up_on():
    async def handle(request):
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await SystemClock().sleep(0.05)

    async with serving(handle) as (port, _):
        with pytest.raises(PageUnavailable, match=r"did not come within 0\.3 s"):
            await pages(port, total=timedelta(seconds=0.3)).get(f"http://127.0.0.2:{port}/")


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("Preis: 39 €".encode(), "text/html; charset=utf-8", "Preis: 39 €"),
        ("Preis: 39 €".encode("cp1252"), "text/html; charset=windows-1252", "Preis: 39 €"),
        ('<meta charset="cp1252">39 €'.encode("cp1252"), "text/html", '<meta charset="cp1252">39 €'),
        ("39 €".encode("utf-16"), "text/plain", "39 €"),
        (b"\xef\xbb\xbf39", "text/plain; charset=latin-1", "39"),
        (b"39 \xff", "text/plain; charset=utf-8", "39 �"),
        # Python calls it a charset and takes the square of its length; nobody writes a page in it.
        (b"39-abc", "text/plain; charset=punycode", "39-abc"),
        (b"39", "text/plain; charset=no-such-thing", "39"),
        (b"3339", "text/plain; charset=hex", "3339"),
        (b"", "text/html", ""),
        (b'{"price": 39}', "application/ld+json", '{"price": 39}'),
    ],
)
async def test_bytes_become_text_whatever_they_claim_to_be(body, content_type, text):
    async def handle(request):
        return web.Response(body=body, headers={"Content-Type": content_type})

    async with serving(handle) as (port, _):
        assert (await pages(port).get(f"http://127.0.0.2:{port}/")).text == text


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "application/octet-stream"},
        {"Content-Type": "text/html", "Content-Encoding": "br"},
        {"Content-Type": "text/html", "Content-Encoding": "gzip"},
    ],
)
async def test_what_cannot_be_read_as_text_says_so(headers):
    async def handle(request):
        return web.Response(body=b"not what it says", headers=headers)

    async with serving(handle) as (port, _):
        with pytest.raises(PageUnavailable):
            await pages(port).get(f"http://127.0.0.2:{port}/")


async def test_no_cookie_of_one_page_reaches_the_next_and_none_of_ours_is_sent():
    seen: list[dict[str, str]] = []

    async def handle(request):
        seen.append(dict(request.headers))
        if request.path == "/":
            return web.Response(status=302, headers={"Location": "/2", "Set-Cookie": "id=1"})
        return await answer(request)

    async with serving(handle) as (port, _):
        await pages(port).get(f"http://127.0.0.2:{port}/")
    assert [set(headers) & {"Cookie", "Authorization", "Referer"} for headers in seen] == [set(), set()]


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "2a00:1450::1"])
def test_the_public_internet_is_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "2002:7f00:1::", "192.0.0.8", "224.0.0.1", "::ffff:8.8.8.8"])
def test_addresses_that_python_calls_global_and_that_lead_inside_are_not_public(address):
    assert not is_public(ip_address(address))
