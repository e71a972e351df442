"""Posts on a real WordPress with PHP and MariaDB, as Debian ships them."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from actions.connector import Inconclusive, Rejected, Unreachable
from actions.connectors.wordpress import WordPressConnector, WordPressOptions
from tests.support.outside_servers import SERVERS, answering, mariadb, running
from tests.support.ports import free_port
from tests.support.sites import WINDOW, keeps_another_post, post, retraction

CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', '127.0.0.1:{db}');
define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HOME', 'http://127.0.0.1:{port}'); define('WP_SITEURL', 'http://127.0.0.1:{port}');
define('WP_ENVIRONMENT_TYPE', 'local'); define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true); define('DISABLE_WP_CRON', true);
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {{
  define($name . '_KEY', 'k'); define($name . '_SALT', 's');
}}
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""


@pytest.fixture(scope="module")
def wordpress(tmp_path_factory):
    """The port and the application password of a fresh WordPress."""
    home, port = tmp_path_factory.mktemp("wp"), free_port()
    site = home / "site"
    shutil.copytree("/usr/share/wordpress", site, ignore=shutil.ignore_patterns("wp-config.php", "languages"))
    with mariadb(home, "wordpress") as database:
        (site / "wp-config.php").write_text(CONFIG.format(db=database.port, port=port))
        told = subprocess.run(
            ["php", SERVERS / "wordpress_set_up.php", site], check=True, capture_output=True, text=True
        )
        password = re.search(r"PASSWORD (\S+)", told.stdout)[1]
        with running("php", "-q", "-S", f"127.0.0.1:{port}", "-t", site, env={"PHP_CLI_SERVER_WORKERS": "3"}):
            yield port, password


@pytest.fixture
async def site(session, wordpress):
    port, password = wordpress
    await answering(port)
    return site_at(session, port, password)


def site_at(session, port, password) -> WordPressConnector:
    options = WordPressOptions(url=f"http://127.0.0.1:{port}", user="team")
    return WordPressConnector(session, options, SecretStr(password), account="site", window=WINDOW)


async def test_a_post_is_published_once_found_by_its_mark_and_taken_off(site, session, wordpress):
    record = post(slug="once")
    assert await site.find(record, "key-aaaa") is None
    made = await site.send(site.request(record, "key-aaaa"), timeout=WINDOW)
    assert await site.find(record, "key-aaaa") == made
    # As a reader without any password sees it; a theme is not part of what is tested.
    reader = f"http://127.0.0.1:{wordpress[0]}/?rest_route=/wp/v2/posts/{made['post_id']}"
    async with session.get(reader) as answer:
        page = (await answer.json())["content"]["rendered"]
    assert "<em>now</em>" in page
    assert "<script>x" not in page
    with pytest.raises(Rejected) as caught:
        await site.send(site.request(record, "key-aaaa"), timeout=WINDOW)
    assert caught.value.code == "slug_taken"
    gone = retraction(made["post_id"], "once")
    assert await site.find(gone, "key-b") is None
    assert await site.send(site.request(gone, "key-b"), timeout=WINDOW) == {"post_id": made["post_id"]}
    assert await site.find(gone, "key-b") == {"post_id": made["post_id"]}
    async with session.get(reader) as answer:
        assert answer.status in {401, 404}


async def test_another_post_under_the_slug_is_neither_doubled_nor_taken_off(site):
    await keeps_another_post(site)


async def test_a_wrong_password_is_unhealthy_and_stands_in_no_text(session, site, wordpress):
    assert await site.is_healthy()
    wrong = site_at(session, wordpress[0], "canary-wrong")
    assert not await wrong.is_healthy()
    with pytest.raises(Unreachable) as caught:
        await wrong.send(wrong.request(post(slug="wrong"), "key"), timeout=WINDOW)
    assert "canary" not in f"{caught.value}"
    away = site_at(session, free_port(), "canary-away")
    with pytest.raises(Unreachable):
        await away.send(away.request(post(), "key"), timeout=WINDOW)
    with pytest.raises(Inconclusive):
        await away.find(post(), "key")


def test_the_bytes_are_the_same_for_the_same_record_and_hold_no_markup_of_the_body():
    site = site_at(None, 1, "canary")
    first, second = site.request(post(), "key"), site.request(post(), "key")
    assert first == second
    assert hashlib.sha256(first.body).hexdigest() == first.sha256
    assert b"<script>x" not in first.body
    assert "canary" not in repr(first)


@pytest.mark.parametrize(
    "record", [retraction("abc", "x"), retraction("1&force=true", "x"), post(slug="../x"), post(x=1)]
)
def test_what_is_no_post_cannot_be_written(record):
    with pytest.raises(Rejected):
        site_at(None, 1, "p").request(record, "key")


def test_wordpress_is_reached_over_https_only():
    with pytest.raises(ValidationError):
        WordPressOptions(url="http://shop.example", user="team")
    assert Path(SERVERS / "wordpress_set_up.php").exists()
