"""The URL of a database: with a name, and without a password."""

import re

import pytest

from ibkr_tools.config.values import DATABASE_PATTERN


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///portfolio",
        "postgresql://ibkr@/portfolio?host=/run/postgresql",
        "postgresql://ibkr@db.example.org:5433/portfolio?sslmode=verify-full&passfile=/etc/x",
        "postgresql://ibkr@[::1]:5433/portfolio",
    ],
)
def test_urls(url: str) -> None:
    assert re.search(DATABASE_PATTERN, url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ibkr:geheim@db/portfolio",
        "postgresql://ibkr@db/portfolio?password=geheim",
        "postgresql://ibkr@db/portfolio?sslmode=require&password=geheim",
        "postgresql://ibkr@db",
        "postgresql://ibkr@db/",
        "mysql://db/portfolio",
        "sqlite:///history",
        "db.example.org",
        "postgresql://db/portfolio\n",
        "",
    ],
)
def test_what_is_none(url: str) -> None:
    assert not re.search(DATABASE_PATTERN, url)
