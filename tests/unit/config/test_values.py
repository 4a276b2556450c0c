"""Single values that other programs would refuse: the gateway's port, IBKR's host, the user's name."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ibkr_tools.config.loader import config_problems, load_config
from ibkr_tools.config.schema import json_schema
from ibkr_tools.config.values import RESTRICTED_PORTS
from ibkr_tools.errors import ConfigError

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def said(**gateway: Any) -> str:
    """Returns what is said of the gateway's section, and sees that an editor says the same."""
    document = {"username": "reader", "account": "U1234567", "gateway": gateway}
    found = "\n".join(config_problems(document))
    assert bool(found) is not VALIDATOR.is_valid(document)
    return found


@pytest.mark.parametrize("port", [1, 22, 6000, 5060, 5061, 10080, *range(6665, 6670), 6697, 2049, 989, 3659])
def test_a_port_that_chromium_never_opens_is_refused(port: int) -> None:
    assert f"gateway.port: Chromium opens no page from port {port}" in said(port=port)


@pytest.mark.parametrize("port", [2, 443, 1024, 5000, 5001, 5080, 6001, 8080, 10081, 65535])
def test_any_other_port_is_taken(port: int) -> None:
    assert port not in RESTRICTED_PORTS
    assert said(port=port) == ""


@pytest.mark.parametrize(
    "upstream",
    [
        "https://api.ibkr.com", "https://1.api.ibkr.com:443", "http://127.0.0.1:5080", "http://localhost:1",
        "https://a-b.example:65535", "http://10.0.0.255:9999", "https://API.IBKR.COM", "http://simulator:5080",
    ],
)  # fmt: skip
def test_hosts_that_java_can_ask_are_taken(upstream: str) -> None:
    assert said(upstream=upstream) == ""


@pytest.mark.parametrize(
    ("upstream", "why"),
    [
        ("api.ibkr.com", "did you mean 'https://api.ibkr.com'?"),
        ("api.ibkr.com:443", "did you mean 'https://api.ibkr.com:443'?"),
        ("https://api.ibkr.com/", "did you mean 'https://api.ibkr.com'?"),
        ("https://api.ibkr.com/v1/api", "did you mean 'https://api.ibkr.com'?"),
        ("https://api.ibkr.com?x=1", "did you mean 'https://api.ibkr.com'?"),
        (" https://api.ibkr.com", "did you mean 'https://api.ibkr.com'?"),
        ("https://api.ibkr.com\n", "did you mean 'https://api.ibkr.com'?"),
        ("HTTPS://api.ibkr.com", "did you mean 'https://api.ibkr.com'?"),
        ("wss://api.ibkr.com", "not wss"),
        ("https://me:hunter2@api.ibkr.com", "no user name and no password belong in it"),
        ("https://hunter2@api.ibkr.com", "no user name and no password belong in it"),
        ("https://api.ibkr.com:0", "a port is a number from 1 to 65535"),
        ("https://api.ibkr.com:99999", "a port is a number from 1 to 65535"),
        ("https://api.ibkr.com:65536", "a port is a number from 1 to 65535"),
        ("https://api.ibkr.com:", ""),
        ("https://api.ibkr.com:https", "a port is a number from 1 to 65535"),
        ("https://[::1]:5080", "write a name"),
        ("https://[::1", ""),
        ("https://1.2.3.256", "can be no host"),
        ("https://1.2.3", "can be no host"),
        ("https://010.0.0.1", "can be no host"),
        ("https://a..b", "can be no host"),
        ("https://-a.b", "can be no host"),
        ("https://a_b.c", "can be no host"),
        (f"https://{'a' * 64}.b", "can be no host"),
        ("https://" + ".".join(["a" * 60] * 5), "can be no host"),
        ("https://", "there is no host in it"),
        ("https://api.ibkr\u200b.com", "cannot be seen"),
        ("", ""),
    ],
)
def test_what_is_no_host_is_told_with_what_was_meant(upstream: str, why: str) -> None:
    found = said(upstream=upstream)
    assert "gateway.upstream: Expected scheme, host and port" in found
    assert why in found
    assert "hunter2" not in found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_gateway_is_not_its_own_server(tmp_path: Path, host: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        f'{{"username": "a", "account": "U1", "gateway": {{"port": 5080, "upstream": "http://{host}:5080"}}}}'
    )
    with pytest.raises(ConfigError, match=r"port 5080 is gateway\.port itself"):
        load_config(path)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (" reader", "there are blanks around it"),
        ("reader\n", "there are blanks around it"),
        ("reader\xa0", "there are blanks around it"),
        ("  ", "there is nothing in it"),
        ("\ufeffreader", "character 1 cannot be seen (U+FEFF)"),
        ("rea\x00der", "character 4 cannot be seen (U+0000)"),
        ("rea\x1bder", "character 4"),
        ("rea\u200dder", "character 4"),
        ("rea\nder", "character 4"),
    ],
)
def test_a_user_name_that_nobody_types_is_told_and_not_shown(name: str, why: str) -> None:
    document = {"username": name, "account": "U1234567"}
    (found,) = config_problems(document)
    assert "username: Expected the name that you type on IBKR's page" in found
    assert why in found
    assert "reader" not in found
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("name", ["reader", "a b", "Zoë", "x" * 64, "user@example.com"])
def test_any_other_user_name_is_taken(name: str) -> None:
    assert not list(config_problems({"username": name, "account": "U1234567"}))
