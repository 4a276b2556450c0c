"""Where a statement is fetched from: what IBKR says about that counts only if it is IBKR."""

import pytest

from ibkr_tools.config.secrets import Secret
from ibkr_tools.flex.flex_answers import Unreachable
from ibkr_tools.flex.flex_service import FlexServiceClient, statement_url

IBKR = "https://ndcdyn.interactivebrokers.com"
USUAL = f"{IBKR}/AccountManagement/FlexWebService/GetStatement"
OTHER = "https://gdcdyn.interactivebrokers.com/AccountManagement/FlexWebService/GetStatement"


@pytest.mark.parametrize("stated", [USUAL, OTHER])
def test_both_hosts_of_ibkr_are_followed(stated: str) -> None:
    assert statement_url(stated, IBKR) == stated


@pytest.mark.parametrize(
    "stated",
    [
        "",
        "GetStatement",
        OTHER.replace("https", "http"),
        OTHER.replace("gdcdyn", "www"),
        OTHER.replace("gdcdyn", "x.gdcdyn"),
        OTHER.replace(".com", ".com.evil.example"),
        OTHER.replace(".com", ".com:444"),
        OTHER.replace("https://", "https://me@"),
        OTHER.replace("https://", "https://evil.example\\@"),
        OTHER.replace(".com/", ".com\\.evil.example/"),
        OTHER.replace("GDCDYN", "gdcdyn").replace("https://", "https://evil.example/"),
        "https://gdcdyn.interactivebrokers.com//evil.example/x",
        "https://gdcdyn.interactivebrokers.com/a b",
        "https://[::1",
        "http://127.0.0.1:5080/x",
    ],
)
def test_anything_else_is_not_followed(stated: str) -> None:
    assert statement_url(stated, IBKR) == USUAL


def test_what_the_address_asks_for_besides_is_left_out() -> None:
    assert statement_url(f"{OTHER}?t=1#x", IBKR) == OTHER


def test_a_service_that_is_not_ibkr_is_followed_to_itself_only() -> None:
    upstream = "http://127.0.0.1:5080"
    assert statement_url(f"{upstream}/x", upstream) == f"{upstream}/x"
    for stated in (OTHER, "http://127.0.0.1:5081/x", "https://127.0.0.1:5080/x"):
        assert statement_url(stated, upstream).startswith(f"{upstream}/AccountManagement/")


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:geheim@127.0.0.1:9",
        "socks5h://127.0.0.1:9",
        "http://[::1",
        "http://",
        "geheim://x",
        "127.0.0.1:99999",
    ],
)
def test_a_proxy_that_is_none_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    client = FlexServiceClient(IBKR, Secret("1" * 24))
    answer = client.send_request("1", None)
    client.close()
    assert isinstance(answer, Unreachable)
    assert answer.why.endswith(
        "cannot be reached: what https_proxy or all_proxy in the environment names is no proxy of HTTP"
    )
    assert (answer.passes, bool(answer.hint)) == (False, True)
    assert "geheim" not in answer.why
