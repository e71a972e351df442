"""Posts on a real Ghost 6 with MariaDB, as npm carries them."""

import subprocess
import time
import urllib.request

import pytest
from pydantic import SecretStr, ValidationError

from actions.connector import Inconclusive, Rejected, Unreachable
from actions.connectors.ghost import GhostConnector, GhostOptions
from core.clock import SystemClock
from core.secrets import SecretMissing
from tests.support.outside_servers import GHOST, mariadb, running
from tests.support.ports import free_port
from tests.support.sites import WINDOW, keeps_another_post, post, retraction

KEY = "aa:" + "00" * 32


def wait_until_booted(port: int) -> None:
    """Ghost listens long before it has made its tables; until then it answers 503."""
    for _ in range(400):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ghost/api/admin/site/", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("Ghost did not boot")


@pytest.fixture(scope="module")
def ghost(tmp_path_factory):
    """The port and an Admin API key of a fresh Ghost."""
    assert (GHOST / "package").exists(), "Ghost is missing. Run: make test-connectors"
    home, port = tmp_path_factory.mktemp("ghost"), free_port()
    subprocess.run(["cp", "-r", GHOST / "package" / "content", home / "content"], check=True)
    with mariadb(home, "ghost") as database:
        told = {
            "NODE_ENV": "production",
            "url": f"http://127.0.0.1:{port}",
            "server__host": "127.0.0.1",
            "server__port": str(port),
            "database__client": "mysql",
            "database__connection__host": "127.0.0.1",
            "database__connection__port": str(database.port),
            "database__connection__user": "root",
            "database__connection__password": "",
            "database__connection__database": "ghost",
            "paths__contentPath": str(home / "content"),
            "logging__transports": '["stdout"]',
            "privacy__useTinfoil": "true",
            "mail__transport": "Direct",
        }
        node = GHOST / "node_modules" / "node" / "bin" / "node"
        with running(node, "index.js", env=told, cwd=GHOST / "package"):
            wait_until_booted(port)
            find = (
                "select concat(k.id, ':', k.secret) from api_keys k join integrations i on i.id = k.integration_id"
                " where i.name = 'Zapier' and k.type = 'admin'"
            )
            yield port, database.run("ghost", find).strip()


@pytest.fixture
def site(session, ghost):
    return site_at(session, *ghost)


def site_at(session, port, key=KEY) -> GhostConnector:
    options = GhostOptions(url=f"http://127.0.0.1:{port}")
    return GhostConnector(session, options, SecretStr(key), account="site", window=WINDOW, clock=SystemClock())


async def test_a_post_is_published_once_found_by_its_key_and_taken_off(site, session):
    record = post(slug="once")
    assert await site.is_healthy()
    assert await site.find(record, "key-AAAA") is None
    made = await site.send(site.request(record, "key-AAAA"), timeout=WINDOW)
    assert await site.find(record, "key-AAAA") == made
    async with session.get(made["url"]) as answer:
        page = await answer.text()
    assert "<em>now</em>" in page
    assert "<script>x" not in page
    assert "key-AAAA" not in page
    with pytest.raises(Rejected) as caught:
        await site.send(site.request(record, "key-AAAA"), timeout=WINDOW)
    assert caught.value.code == "slug_taken"
    gone = retraction(made["post_id"], "once")
    assert await site.find(gone, "key-b") is None
    assert await site.send(site.request(gone, "key-b"), timeout=WINDOW) == {"post_id": made["post_id"]}
    assert await site.find(gone, "key-b") == {"post_id": made["post_id"]}
    assert await site.find(record, "key-AAAA") is None


async def test_another_post_under_the_slug_is_neither_doubled_nor_taken_off(site):
    await keeps_another_post(site)


async def test_a_wrong_key_is_unhealthy_and_nobody_listening_means_that_nothing_was_sent(session, ghost):
    for wrong in (site_at(session, ghost[0]), site_at(session, free_port())):
        assert not await wrong.is_healthy()
        with pytest.raises(Unreachable):
            await wrong.send(wrong.request(post(slug="wrong"), "key"), timeout=WINDOW)
        with pytest.raises(Inconclusive):
            await wrong.find(post(), "key")


@pytest.mark.parametrize("key", ["canary", "canary:xyz", ":" + "00" * 32, "a:00"])
def test_a_key_of_another_form_is_refused_and_not_repeated(key):
    with pytest.raises(SecretMissing) as caught:
        site_at(None, 1, key)
    assert "canary" not in f"{caught.value}{caught.value.__context__}"


@pytest.mark.parametrize("record", [retraction("../x", "x"), retraction("1?a", "x"), post(slug="../x"), post(x=1)])
def test_what_is_no_post_cannot_be_written(record):
    with pytest.raises(Rejected):
        site_at(None, 1).request(record, "key")


def test_ghost_is_reached_over_https_only():
    with pytest.raises(ValidationError):
        GhostOptions(url="http://shop.example")
    assert site_at(None, 1).request(post(), "k") == site_at(None, 1).request(post(), "k")
