"""Roles of their own on the test server: an owner who migrates, an app that may only use what was made."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.support.postgres import PostgresServer, new_test_name


@dataclass(frozen=True)
class Roles:
    """One database, three ways to log in."""

    owner_url: str
    app_url: str
    superuser_url: str


@contextmanager
def separate_roles(server: PostgresServer, *, database: str = "", app: str = "app") -> Generator[Roles]:
    """A database owned by one fresh role, that another fresh role may connect to; all gone afterwards."""
    tag, password = secrets.token_hex(4), secrets.token_hex(8)
    names = (f"owner {tag}", f"{app} {tag}")
    database = database or new_test_name()
    with psycopg.connect(server.maker_url, autocommit=True) as conn:
        for name in names:
            conn.execute(
                sql.SQL("create role {} login password {}").format(sql.Identifier(name), sql.Literal(password))
            )
        conn.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(database), sql.Identifier(names[0])))
    owner_url, app_url = (_as(server.maker_url, name, password, database) for name in names)
    try:
        yield Roles(owner_url, app_url, urlunsplit(urlsplit(server.maker_url)._replace(path=f"/{database}")))
    finally:
        server.drop(database)
        with psycopg.connect(server.maker_url, autocommit=True) as conn:
            for name in names:
                conn.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def _as(url: str, role: str, password: str, database: str) -> str:
    parts = urlsplit(url)
    netloc = f"{quote(role)}:{password}@{parts.hostname}:{parts.port or 5432}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))
