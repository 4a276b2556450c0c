"""One bad answer does not end a fetch, one account or part that is gone does not end all of them for ever."""

import time
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config.schema import Config, FetchConfig, SessionConfig
from ibkr_tools.errors import (
    AccountUnavailable,
    BrokerageUnavailable,
    GatewayUnavailable,
    IbkrError,
    SessionUnavailable,
    UpstreamUnavailable,
)
from ibkr_tools.fetch.fetch_task import FetchTask
from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.status import LoginSection, SessionSection, SessionState, utc_now
from tests.simulator.test_belief import Place
from tests.support.installation import Installation
from tests.support.patience import slowdown
from tests.support.portal import asked, client_of, signed_in

ACCOUNTS = account_numbers("U1234567", 3)
KINDS = [503, "drop", "html", "error", "half"]

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS)


@pytest.fixture
def here(simulator: Simulator, tmp_path: Path) -> Place:
    return Place(simulator, tmp_path)


ONE = [
    {"kind": "status", "status": 503},
    {"kind": "close"},
    {"kind": "html"},
    {"kind": "half"},
    {"kind": "truncate"},
    {"kind": "status", "status": 200},
    {"kind": "json", "body": {"error": "failed to process request"}},
]


@pytest.mark.parametrize("fault", ONE, ids=str)
@pytest.mark.parametrize("path", ["/portfolio/*/positions/1", "/portfolio/accounts", "/portfolio/U1234568/ledger"])
def test_one_bad_answer_is_asked_for_again(here: Place, fault: dict[str, Any], path: str) -> None:
    here.simulator.control.fault(path, count=1, **fault)
    found = here.fetch()
    assert len({(row["acctId"], row["conid"]) for row in found["positions"]}) == len(found["positions"]) == 3 * 237
    assert any("trying again in" in line for line in here.told) or fault["kind"] in {"close", "truncate"}


def test_nothing_is_tried_again_where_that_is_off(here: Place) -> None:
    here.simulator.control.fault("/portfolio/U1234567/ledger", "status", status=503, count=1)
    with pytest.raises(UpstreamUnavailable):
        here.fetch(retry_s=0)


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_hundred_fetches_with_trouble_on_every_tenth_answer(tmp_path: Path, seed: int) -> None:
    """Of 5,000 positions each; no row is lost, none is there twice. A quarter of them with each seed."""
    with signed_in(tmp_path, positions=5000) as simulator:
        simulator.control.behaviour(faults={"rate": 0.1, "kinds": KINDS, "seed": seed})
        place = Place(simulator, tmp_path)
        for _ in range(25):
            rows = place.fetch(["positions"])["positions"]
            assert len({row["conid"] for row in rows}) == len(rows) == 5000


@pytest.mark.parametrize("kinds", [[503], ["drop"], ["html"], ["error"], ["half"], ["empty"], KINDS])
def test_where_every_answer_fails_the_fetch_ends(here: Place, kinds: list[Any]) -> None:
    """Within the bound of one read, with what was saved in place."""
    here.fetch()
    before = here.saved
    here.simulator.control.behaviour(faults={"rate": 1.0, "kinds": kinds})
    with pytest.raises(IbkrError) as caught:
        here.fetch()
    assert caught.value.exit_code == 75
    assert here.saved == before


def test_where_every_answer_fails_it_ends_in_real_time(here: Place) -> None:
    here.simulator.control.behaviour(faults={"rate": 1.0})
    began = time.monotonic()
    with pytest.raises(IbkrError):
        FetchTask(
            Config(username="demo-reader", account="U1234567"), lambda: client_of(here.simulator), here.status
        ).run()
    assert time.monotonic() - began < 30 * slowdown()


def test_retry_after_is_waited_for(here: Place) -> None:
    here.simulator.control.fault(
        "/portfolio/U1234567/ledger", "status", status=503, count=1, headers={"Retry-After": "20"}
    )
    assert here.fetch(["ledger"])["ledger"]["U1234567"]
    assert any("trying again in 20 s" in line for line in here.told)
    here.simulator.control.fault("/portfolio/*/ledger", "status", status=503, headers={"Retry-After": "120"})
    with pytest.raises(UpstreamUnavailable, match="IBKR asks to come back in 2 min"):
        here.fetch(["ledger"])
    here.simulator.control.clear()
    here.simulator.control.fault(
        "/portfolio/U1234567/ledger", "status", status=503, count=1, headers={"Retry-After": "120"}
    )
    with pytest.raises(UpstreamUnavailable, match="IBKR asks to come back in 2 min"):
        here.fetch(["ledger"])


@pytest.mark.parametrize("status", [500, 503, 403, 404, 400, 200])
def test_an_account_that_alone_answers_nothing_is_told_apart(here: Place, status: int) -> None:
    """One that was moved to another company is listed, and fails for ever: trying again does not help."""
    here.simulator.control.behaviour(failing_accounts={ACCOUNTS[1]: status})
    with pytest.raises(AccountUnavailable, match=f"account {ACCOUNTS[1]} answers nothing but errors") as caught:
        here.fetch()
    assert caught.value.exit_code == 78
    assert "fetch.accounts" in (caught.value.hint or "")
    assert list(here.section.missing_accounts) == [ACCOUNTS[1]]
    assert not here.section.session_lost
    assert not (here.folder / "latest.json").exists()


@pytest.mark.parametrize("dead", [ACCOUNTS[:1], ACCOUNTS[1:2], ACCOUNTS[2:], ACCOUNTS[:2], ACCOUNTS[1:], ACCOUNTS[::2]])
@pytest.mark.parametrize("resources", [(), ("positions",), ("ledger", "summary")])
def test_the_others_are_saved_where_that_is_wanted(
    here: Place, dead: tuple[str, ...], resources: tuple[str, ...]
) -> None:
    here.simulator.control.behaviour(failing_accounts=dict.fromkeys(dead, 500))
    found = here.fetch(resources, partial=True)
    alive = [one for one in ACCOUNTS if one not in dead]
    assert found["covers"]["accounts"] == alive
    assert list(found["covers"]["missing_accounts"]) == list(dead)
    assert "HTTP 500" in found["covers"]["missing_accounts"][dead[0]]
    assert all(list(found[name]) == alive for name in ("summary", "ledger", "allocation") if name in found)
    assert len(found.get("positions", ())) in {0, 237 * len(alive)}
    assert (here.section.state, list(here.section.missing_accounts)) == ("succeeded", list(dead))
    assert "without U123456" in here.section.why


def test_an_account_that_dies_on_the_way_leaves_nothing_of_itself(here: Place) -> None:
    """Its summary has come, and is taken back."""
    for path in ("ledger", "positions/*"):
        here.simulator.control.fault(f"/portfolio/{ACCOUNTS[1]}/{path}", "status", status=404)

    def die(line: str) -> None:
        if line == f"ledger of {ACCOUNTS[1]}":
            here.simulator.control.fault(f"/portfolio/{ACCOUNTS[1]}/summary", "status", status=404)

    here.tell = die
    found = here.fetch(["summary", "ledger", "positions"], partial=True)
    assert list(found["summary"]) == list(found["ledger"]) == [ACCOUNTS[0], ACCOUNTS[2]]
    assert len(found["positions"]) == 2 * 237


def test_what_the_configuration_wants_is_done(here: Place) -> None:
    here.simulator.control.behaviour(failing_accounts={ACCOUNTS[1]: 500})
    config = Config(username="demo-reader", account="U1234567", fetch=FetchConfig(partial=True))
    fetching = FetchTask(config, lambda: client_of(here.simulator), here.status, sleep=lambda _: None)
    assert fetching.run().covers.missing_accounts
    with pytest.raises(AccountUnavailable):
        FetchTask(config, lambda: client_of(here.simulator), here.status, sleep=lambda _: None).run(partial=False)


def test_a_lone_account_cannot_be_told_apart(tmp_path: Path) -> None:
    with signed_in(tmp_path, accounts=ACCOUNTS[:1]) as simulator:
        simulator.control.behaviour(failing_accounts={ACCOUNTS[0]: 500})
        with pytest.raises(UpstreamUnavailable) as caught:
            Place(simulator, tmp_path).fetch(partial=True)
        assert caught.value.exit_code == 75


def test_one_endpoint_of_an_account_is_not_the_account(here: Place) -> None:
    here.simulator.control.fault(f"/portfolio/{ACCOUNTS[1]}/ledger", "status", status=500)
    with pytest.raises(UpstreamUnavailable):
        here.fetch(partial=True)
    assert not here.section.missing_accounts


def test_where_all_fail_none_is_dead(here: Place) -> None:
    here.simulator.control.behaviour(failing_accounts=dict.fromkeys(ACCOUNTS, 500))
    with pytest.raises(UpstreamUnavailable):
        here.fetch(partial=True)
    assert not here.section.missing_accounts


def test_a_session_that_is_lost_meanwhile_kills_no_account(here: Place) -> None:
    here.simulator.control.fault(f"/portfolio/{ACCOUNTS[0]}/*", "status", status=500)
    here.simulator.control.fault("/portfolio/U*", "status", status=401)
    with pytest.raises(SessionUnavailable) as caught:
        here.fetch(partial=True)
    assert type(caught.value) is SessionUnavailable
    assert here.section.session_lost


def test_what_is_missing_is_told_until_a_fetch_finds_it(here: Place) -> None:
    """A fetch that asks for something else knows nothing of it; one of the usual things does."""
    here.simulator.control.behaviour(failing_accounts={ACCOUNTS[1]: 500})
    here.fetch(partial=True)
    here.fetch(["ledger"], [ACCOUNTS[0]])
    assert list(here.section.missing_accounts) == [ACCOUNTS[1]]
    here.simulator.control.fault("/portfolio/*", "status", status=401)
    with pytest.raises(SessionUnavailable):
        here.fetch()
    assert list(here.section.missing_accounts) == [ACCOUNTS[1]]
    here.simulator.control.clear_faults()
    here.fetch(accounts=(ACCOUNTS[0],))
    here.simulator.control.behaviour(failing_accounts={})
    here.fetch(["ledger"], [ACCOUNTS[1]])
    assert not here.section.missing_accounts


def test_supplementary_parts_cost_no_positions(here: Place) -> None:
    """IBKR's analyst answers 503 for weeks now and then; one account's combinations do."""
    here.simulator.control.fault("/pa/*", "status", status=503)
    here.simulator.control.fault(f"/portfolio/{ACCOUNTS[1]}/combo/*", "status", status=401)
    found = here.fetch(usual=("user", "summary", "positions", "combos", "performance"))
    assert list(found)[4:] == found["covers"]["resources"] == ["user", "summary", "positions"]
    assert list(found["covers"]["missing"]) == ["combos", "performance"]
    assert "used up a call" in found["covers"]["missing"]["performance"]
    assert len(found["positions"]) == 3 * 237
    assert list(here.section.missing) == ["combos", "performance"]


def test_the_first_part_may_be_missing(here: Place) -> None:
    here.simulator.control.fault("/one/user", "status", status=404)
    found = here.fetch(usual=("user", "ledger"))
    assert list(found)[4:] == ["ledger"]
    assert "HTTP 404" in found["covers"]["missing"]["user"]


def test_what_was_named_must_come(here: Place) -> None:
    here.simulator.control.fault("/one/user", "status", status=503)
    with pytest.raises(UpstreamUnavailable):
        here.fetch(["user", "ledger"])


def test_essential_parts_must_come(here: Place) -> None:
    here.simulator.control.fault("/portfolio/*/allocation", "status", status=503)
    with pytest.raises(UpstreamUnavailable):
        here.fetch()


def test_a_lost_session_is_no_missing_part(here: Place) -> None:
    here.simulator.control.fault("/portfolio/*/combo/*", "status", status=401)
    here.simulator.control.fault("/portfolio/*/summary", "status", status=401)
    with pytest.raises(SessionUnavailable):
        here.fetch(usual=("ledger", "combos"))
    assert here.section.session_lost


def session(state: SessionState, **more: Any) -> SessionSection:
    now = utc_now()
    return SessionSection(updated_at=now, fresh_for_s=25.0, state=state, since=now, why="as IBKR says", **more)


@pytest.mark.parametrize("state", [SessionState.LOST, SessionState.LOGGING_IN, SessionState.STARTING])
def test_what_the_watchdog_knows_costs_no_request(here: Place, state: SessionState) -> None:
    """The login that is under way needs the one list of accounts of five seconds for its proof."""
    here.status.write(session(state))
    before = asked(here.simulator, "")
    with pytest.raises(SessionUnavailable, match=rf"no session \({state.value}: as IBKR says\)") as caught:
        here.fetch()
    assert "--wait 60" in (caught.value.hint or "")
    assert asked(here.simulator, "") == before
    assert (here.section.state, here.section.session_lost) == ("failed", False)


def test_a_gateway_that_is_down_is_known_too(here: Place) -> None:
    here.status.write(session(SessionState.GATEWAY_DOWN))
    with pytest.raises(GatewayUnavailable, match="gateway-down: as IBKR says"):
        here.fetch()


def test_a_watchdog_that_is_silent_knows_nothing(here: Place) -> None:
    old = session(SessionState.LOST)
    here.status.write(
        SessionSection(updated_at=old.updated_at, fresh_for_s=0.0, state=old.state, since=old.since, why="")
    )
    assert here.fetch(["ledger"])["ledger"]


def test_a_login_that_is_under_way_is_left_alone(here: Place) -> None:
    here.status.write(LoginSection(updated_at=utc_now(), fresh_for_s=60.0, state="running", why="in the browser"))
    before = asked(here.simulator, "")
    with pytest.raises(SessionUnavailable, match="a login is under way"):
        here.fetch()
    assert asked(here.simulator, "") == before
    here.status.write(session(SessionState.UP))
    assert here.fetch(["ledger"])["ledger"]


def test_a_missing_tier_is_known_and_the_other_one_serves(here: Place) -> None:
    here.status.write(session(SessionState.DEGRADED))
    assert here.fetch(["ledger"])["ledger"]
    with pytest.raises(BrokerageUnavailable, match="the brokerage tier is not up"):
        FetchTask(
            Config(username="demo-trader", account="U1234567", session=SessionConfig(tier="brokerage")),
            lambda: client_of(here.simulator),
            here.status,
        ).run(["trades"])


def test_the_command_says_what_is_missing(place: Installation, simulator: Simulator) -> None:
    simulator.control.behaviour(failing_accounts={ACCOUNTS[1]: 500})
    done = place.run("fetch", "--save", "--retry-for", "0")
    assert done.returncode == 78, done.stderr
    assert f"account {ACCOUNTS[1]} answers nothing but errors while the others answer" in done.stderr
    done = place.run("fetch", "--save", "--partial", "--retry-for", "0")
    assert done.returncode == 0, done.stderr
    assert f"warning: without account {ACCOUNTS[1]}" in done.stderr


def test_api_tries_again_too(place: Installation, simulator: Simulator) -> None:
    simulator.control.fault("/portfolio/U1234567/meta", "status", status=503, count=1)
    assert place.run("api", "/portfolio/U1234567/meta").returncode == 0
    simulator.control.fault("/portfolio/U1234567/meta", "status", status=503, count=1)
    assert place.run("api", "/portfolio/U1234567/meta", "--retry-for", "0").returncode == 75
