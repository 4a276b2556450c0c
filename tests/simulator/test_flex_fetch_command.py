"""`ibkr-tools flex fetch` and `flex check` without a file: real processes, and the waits that IBKR wants."""

from collections.abc import Callable
from typing import Any

import pytest

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.flex_service import FLEX_QUERY, FLEX_TOKEN
from tests.support.installation import Installation

pytestmark = pytest.mark.simulator(positions=1)


def run(place: Installation, *arguments: str) -> tuple[int, str, str]:
    done = place.run(*arguments)
    assert FLEX_TOKEN not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def configured(place: Installation, simulator: Simulator) -> Callable[..., Installation]:
    """Writes a configuration with a token."""

    def configure(**flex: Any) -> Installation:
        place.configure(1025, flex={"query": FLEX_QUERY, "token": FLEX_TOKEN, "upstream": simulator.url, **flex})
        return place

    simulator.control.flex(not_ready=0)
    return configure


def test_the_command_fetches_keeps_and_renews_the_history(configured: Callable[..., Installation]) -> None:
    place = configured()
    code, out, err = run(place, "flex", "fetch")
    assert (code, err) == (0, "")
    assert "kept as" in out
    assert "nothing is due" in run(place, "flex", "fetch")[1]
    assert len(list(place.directories.statements.glob("*.xml.gz"))) == 1
    assert run(place, "history", "values")[0] == 0
    code, out, _ = run(place, "status")
    assert code == 0, "where statements alone are fetched, the status is about these"
    assert "\nflex     succeeded" in out


def test_a_check_keeps_nothing_and_says_what_the_query_lacks(configured: Callable[..., Installation]) -> None:
    place = configured()
    code, out, err = run(place, "flex", "check")
    assert (code, err) == (0, "")
    assert out.startswith(f"query {FLEX_QUERY}\n  U1234567, ")
    assert "not ticked, or nothing happened" in out
    assert list(place.directories.statements.glob("*.xml.gz")) == []


def test_a_wrong_token_is_77_and_one_request(configured: Callable[..., Installation], simulator: Simulator) -> None:
    place = configured(token="9" * 24)
    assert run(place, "flex", "fetch")[0] == 77
    code, _, err = run(place, "flex", "check")
    assert (code, "nothing was sent" in err) == (77, True)
    assert len(simulator.control.state()["flex"]["forms"]) == 1
    assert run(place, "flex", "check", "--again")[0] == 77
    assert len(simulator.control.state()["flex"]["forms"]) == 2
    assert run(place, "status")[0] == 77


@pytest.mark.parametrize(
    ("flex", "arguments", "code", "says"),
    [
        ({"query": None}, (), 78, "flex.query is not set"),
        ({"token": ""}, (), 78, "no token"),
        ({"token": "not a token"}, (), 78, "this is no token"),
        ({"query": FLEX_TOKEN}, (), 78, "so many digits are a token"),
        ({"token_expires": "soon"}, (), 78, "Expected a day such as 2027-01-31"),
        ({"upstream": "http://flex.example"}, (), 78, "unencrypted"),
        ({}, ("--days", "0"), 2, "--days"),
        ({}, ("--days", "3", "--all"), 2, "give one of them"),
        ({}, ("--to", "2026-01-01"), 2, "--to needs --from"),
        ({}, ("--from", "2026-03-02", "--to", "2026-03-01"), 2, "is after"),
        ({}, ("--from", "2026-03-07", "--to", "2026-03-08"), 2, "markets were closed"),
        ({}, ("--from", "2026-03-07", "--to", "2199-03-08"), 2, "IBKR has statements until"),
        ({}, ("--from", "03/07/2026"), 2, "--from"),
    ],
)
def test_a_mistake_is_one_line_and_no_request(
    configured: Callable[..., Installation],
    simulator: Simulator,
    flex: dict[str, Any],
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    ended, out, err = run(configured(**flex), "flex", "fetch", *arguments)
    assert (ended, out) == (code, ""), err
    assert says in err
    assert simulator.control.state()["flex"]["forms"] == []
