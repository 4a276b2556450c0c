"""Where a statement is fetched from: what IBKR says about that counts only if it is IBKR."""

import pytest

from ibkr_tools.flex.flex_service import statement_url

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
