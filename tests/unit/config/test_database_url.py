"""The URL of a database: with a name, and without a password."""

import re

import pytest

from ibkr_tools.config.loader import config_problems
from ibkr_tools.config.values import DATABASE_PATTERN


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///portfolio",
        "postgresql://ibkr@/portfolio?host=/run/postgresql",
        "postgresql://ibkr@db.example.org:5433/portfolio?sslmode=verify-full&passfile=/etc/x",
        "postgresql://ibkr@[::1]:5433/portfolio",
        "postgresql://ib%40kr@db/portfolio?options=-csearch_path%3Dx&sslmode=require",
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
        "postgresql://ibkr@db/portfolio?pass%77ord=geheim",
        "postgresql://ibkr@db/portfolio?sslmode=require&p%61ssword=geheim",
        "postgresql://db:abc/portfolio",
        "postgresql://[::1/portfolio",
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


PASSWORD_HINT = "the password belongs into the file database-password beside the configuration"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://ibkr:geheim@db/portfolio", PASSWORD_HINT),
        ("postgresql://ibkr:gehe/im@db/portfolio", PASSWORD_HINT),
        ("postgresql://db/portfolio?password=geheim", PASSWORD_HINT),
        ("postgresql://db/portfolio?sslmode=require&password=geheim", PASSWORD_HINT),
        ("ibkr:geheim@db/portfolio", PASSWORD_HINT),
        ("host=db password=geheim", PASSWORD_HINT),
        ("mysql://db/geheim", "it begins with postgresql://"),
    ],
)
def test_a_password_in_it_is_not_shown(url: str, hint: str) -> None:
    value = {"username": "reader", "account": "U1234567", "history": {"database": url}}
    (line,) = config_problems(value)
    assert line.endswith(f"; {hint}")
    assert "geh" not in line
