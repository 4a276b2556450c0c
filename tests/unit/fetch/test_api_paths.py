"""Raw paths: each is one listed read, or refused before anything could leave."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.api_paths import match_path
from ibkr_tools.portal.endpoints import READS, Endpoint
from tests.support import allow_list


@pytest.mark.parametrize(
    ("text", "name", "names", "query"),
    [
        ("/portfolio/accounts", "accounts", {}, {}),
        ("portfolio/U1234567/ledger", "ledger", {"account": "U1234567"}, {}),
        ("/v1/api/portfolio/U1234567C/summary", "summary", {"account": "U1234567C"}, {}),
        ("v1/portal/portfolio/U1/positions/0", "positions", {"account": "U1", "page": "0"}, {}),
        ("/portfolio/positions/265598", "positions_by_conid", {"conid": "265598"}, {}),
        ("/iserver/account/trades?days=3", "trades", {}, {"days": "3"}),
        ("/iserver/secdef/search?symbol=A%26B&name=true", "search", {}, {"symbol": "A&B", "name": "true"}),
        ("/fyi/notifications?max=", "notifications", {}, {"max": ""}),
        ("/pa/performance", "performance", {}, {}),
    ],
)
def test_paths_are_found(text: str, name: str, names: dict[str, str], query: dict[str, str]) -> None:
    found = match_path(text)
    assert (found.endpoint.name, found.path_parameters, found.query) == (name, names, query)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("/portfolio/acounts", "GET /portfolio/accounts"),
        ("/portfolio/U1/ledgr", "GET /portfolio/{account}/ledger"),
        ("/portfolio/U1/positions", "GET /portfolio/{account}/positions/{page}"),
        ("/pa/perfomance", "POST /pa/performance"),
        ("/tickle", ""),
        ("/logout", ""),
        ("/nonsense", ""),
    ],
)
def test_what_is_not_listed_is_refused_with_the_closest(text: str, suggestion: str) -> None:
    with pytest.raises(UsageError) as caught:
        match_path(text)
    assert caught.value.message == f"{text}: not a listed read" + (
        f"; did you mean {suggestion}?" if suggestion else ""
    )


@pytest.mark.parametrize("method", ["POST", "delete", "PUT", "HEAD", "GETS"])
def test_another_method_is_not_listed(method: str) -> None:
    with pytest.raises(UsageError, match="not a listed read; did you mean GET /portfolio/accounts"):
        match_path("/portfolio/accounts", method)
    assert match_path("/portfolio/accounts", "get").endpoint.name == "accounts"


TRICKS = [
    "/portfolio/../logout",
    "/portfolio/accounts/..",
    "/portfolio/./accounts",
    "/portfolio/%2e%2e/logout",
    "/portfolio%2faccounts",
    "/portfolio%2Faccounts",
    "//portfolio/accounts",
    "/portfolio//accounts",
    "/portfolio/accounts/",
    "/portfolio/accounts#x",
    "/portfolio/accounts;x=1",
    "/portfolio\\accounts",
    "/portfolio/accounts\n",
    "/portfolio/acc ounts",
    "/portfolio/accounts\x00",
    "/portfolio/äccounts",
    "/v1/api",
    "/v1/api/",
    "/v1/portal/../api/logout",
    "/v1/api/v1/api/portfolio/accounts",
    "/V1/api/portfolio/accounts",
    "/alpha/api/portfolio/accounts",
    "https://localhost:5000/v1/api/portfolio/accounts",
    "//evil.example/portfolio/accounts",
    "",
    "/",
    "?",
    "/portfolio/U1/positions/invalidate",
    "/portfolio/U1/positions/-1",
    "/portfolio/accounts?a",
    "/portfolio/accounts?a=1&a=2",
    "/portfolio/accounts?&",
    "/portfolio/accounts?a=%ff",
]


@pytest.mark.parametrize("text", TRICKS, ids=repr)
def test_tricks_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        match_path(text)
    assert "\n" not in caught.value.message.replace(repr(text), "")


@pytest.mark.parametrize("row", [one for one in allow_list.ENDPOINTS if one.kind not in "RD"], ids=str)
def test_nothing_that_changes_anything_is_found(row: allow_list.Row) -> None:
    """Whatever its names stand for: orders, settings, logouts, sessions."""
    for value in ("U1234567", "0", "accounts"):
        path = re.sub(r"\{\w+\}", value, row.path)
        for prefix in ("", "/v1/api", "/v1/portal"):
            with pytest.raises(UsageError):
                match_path(prefix + path, row.method)


NUMBERS = st.from_regex(r"[A-Z]{1,2}[0-9]{1,8}", fullmatch=True)


@given(
    st.sampled_from(sorted(READS.values(), key=lambda one: one.name)), st.data(), st.sampled_from(["", "/", "/v1/api/"])
)
def test_every_read_is_found_by_its_path(endpoint: Endpoint, data: st.DataObject, before: str) -> None:
    names = {
        name: str(data.draw(st.integers(0, 999))) if name == "page" else data.draw(NUMBERS) for name in endpoint.names
    }
    found = match_path(before + endpoint.fill(**names).removeprefix("/"))
    assert (found.endpoint, found.path_parameters) == (endpoint, names)


PARTS = sorted({part for one in READS.values() for part in one.path.split("/") if part and "{" not in part})
PIECES = st.sampled_from(
    [*PARTS, "U1234567", "0", "..", ".", "%2f", "%2e%2e", "//", "v1", "api", "portal", "?", "=", "&"]
)
PATHS = st.lists(PIECES | st.text(max_size=3), max_size=8).map("/".join) | st.text(max_size=30)


@given(PATHS)
def test_any_text_is_one_listed_read_or_refused(text: str) -> None:
    """What is found is exactly what was typed: nothing was dropped, decoded or resolved on the way."""
    try:
        found = match_path(text)
    except UsageError:
        return
    typed = re.sub(r"^/?(v1/(api|portal)/)?", "/", text.partition("?")[0], count=1)
    assert found.endpoint in READS.values()
    assert found.endpoint.fill(**found.path_parameters) == typed
