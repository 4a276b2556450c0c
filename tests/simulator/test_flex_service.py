"""Statements from the Flex Web Service: over real HTTP, with all of its troubles, in simulated time."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import (
    ActionRequired,
    ConfigError,
    DatabaseUnavailable,
    DataError,
    IbkrError,
    StatementMissing,
    StatementUnavailable,
)
from ibkr_tools.flex.flex_answers import Accepted, Unreachable
from ibkr_tools.flex.flex_budget import LOCK_QUIET, TokenBudget, TokenIdentity
from ibkr_tools.flex.flex_periods import Period, last_days
from ibkr_tools.flex.flex_service import FlexServiceClient
from ibkr_tools.flex.flex_task import FlexTask, Received
from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.flex.statement_fetcher import StatementFetcher
from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.flex_service import FLEX_QUERY, FLEX_TOKEN
from ibkr_tools.status import FlexSection, StatusFile
from tests.support.simulation import gateway_options

pytestmark = pytest.mark.simulator(positions=1)


class Place:
    """A token's budget, archive, status and outbox, and a clock that the simulator follows."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.simulator = simulator
        self.waited_s = 0.0
        self.archive = StatementArchive(folder / "statements")
        self.status = StatusFile(folder / "status.json")
        self.outbox = folder / "outbox"
        self.received: list[Received] = []
        self.rebuilt = 0
        self.rebuild_error: IbkrError | None = None

    def pause(self, seconds: float) -> None:
        """Lets time pass, for the simulator too."""
        self.waited_s += seconds
        if seconds:
            self.simulator.control.advance(seconds)

    def now(self) -> datetime:
        """The simulator's time."""
        return datetime.fromtimestamp(self.simulator.control.state()["now"], UTC)

    def yesterday(self) -> date:
        """The last day that the simulator has statements of."""
        day = self.now().date() - timedelta(days=1)
        while day.weekday() > 4:
            day -= timedelta(days=1)
        return day

    def budget(self, token: str = FLEX_TOKEN, query: str = FLEX_QUERY) -> TokenBudget:
        """The budget as another process finds it."""
        return TokenBudget(
            self.folder / "statements/service.json",
            TokenIdentity(Secret(token), query),
            clock=lambda: 1000.0 + self.waited_s,
            now=self.now,
            boot_id=lambda: "a",
        )

    def task(
        self,
        token: str = FLEX_TOKEN,
        query: str = FLEX_QUERY,
        expires: date | None = None,
        accounts: Any = ("U1234567",),
    ) -> FlexTask:
        """One run, as a new process would be."""
        budget = self.budget(token, query)
        client = FlexServiceClient(self.simulator.url, Secret(token), read_timeout_s=5.0)
        fetcher = StatementFetcher(client, budget, query, pause=self.pause, clock=lambda: 1000.0 + self.waited_s)

        def rebuild() -> None:
            self.rebuilt += 1
            if self.rebuild_error is not None:
                raise self.rebuild_error

        return FlexTask(
            fetcher,
            budget,
            self.archive,
            self.status,
            self.outbox,
            user="demo-reader",
            accounts=accounts,
            token_expires=expires,
            rebuild=rebuild,
            now=self.now,
        )

    def fetch(self, *periods: Period, to_end: bool = False, **options: Any) -> list[Received]:
        """Runs a fetch, of 45 days if nothing is said; returns what came in it, and keeps why it `ended` early."""
        self.received = []
        chosen = periods or (last_days(45, self.yesterday()),)
        self.ended = self.task(**options).run(chosen, self.yesterday(), self.received.append, to_end=to_end)
        return self.received

    def section(self) -> FlexSection:
        """What the status says."""
        section = self.status.read_section(FlexSection)
        assert section is not None
        return section

    def told(self) -> list[tuple[str, bool, str]]:
        """Takes the messages for a person: topic, whether it is over, what."""
        messages = []
        for path in sorted(self.outbox.glob("*.json")):
            message = json.loads(path.read_bytes())
            messages.append((message["topic"], message["over"], message["what"]))
            path.unlink()
        return messages

    def requests(self) -> list[dict[str, str]]:
        """Returns the forms that the service got."""
        forms: list[dict[str, str]] = self.simulator.control.state()["flex"]["forms"]
        return forms


@pytest.fixture
def flex(tmp_path: Path, simulator: Simulator) -> Iterator[Place]:
    """A place with a service that makes a statement at once."""
    simulator.control.flex(not_ready=0)
    place = Place(tmp_path, simulator)
    yield place
    state = simulator.control.state()["flex"]
    assert state["tokens_in_urls"] == 0
    assert state["most_per_minute"] <= 8
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert FLEX_TOKEN.encode() not in path.read_bytes(), path


def test_a_statement_comes_and_is_kept(flex: Place) -> None:
    (received,) = flex.fetch()
    assert received.archived is not None
    assert [file.digest for file in flex.archive.list_files()] == [received.archived.digest]
    assert received.covered_to == flex.yesterday()
    assert flex.rebuilt == 1
    section = flex.section()
    assert (section.state, section.problems, section.covered_to) == ("succeeded", (), flex.yesterday())
    assert {over for _, over, _ in flex.told()} == {True}
    (asked, fetched) = flex.requests()
    assert (asked["request"], asked["v"], asked["q"]) == ("SendRequest", "3", FLEX_QUERY)
    assert {"fd", "td"} < asked.keys()
    assert "fd" not in fetched


def test_it_is_polled_for_until_it_is_there(flex: Place) -> None:
    flex.simulator.control.flex(not_ready=4)
    flex.fetch()
    assert flex.waited_s == pytest.approx(5 + 10 + 20 + 30 + 30, abs=0.5)


def test_what_never_gets_ready_is_given_up_after_ten_minutes(flex: Place) -> None:
    flex.simulator.control.flex(not_ready=1000)
    with pytest.raises(StatementUnavailable, match=r"is being made \(1019: .*, for 10 minutes now") as caught:
        flex.fetch()
    assert caught.value.exit_code == 75
    assert 560 < flex.waited_s <= 600.5
    assert flex.section().state == "failed"
    assert flex.told() == [("flex-token", True, "the token was about to end; it is renewed")]


@pytest.mark.parametrize("code", [1001, 1009, 1021, 4711])
def test_trouble_that_passes_is_waited_out(flex: Place, code: int) -> None:
    flex.simulator.control.flex(send_codes=[code], get_codes=[code])
    flex.fetch()
    assert flex.waited_s == pytest.approx(60 + 5 + 180, abs=0.5)


def test_an_unknown_reference_is_renewed(flex: Place) -> None:
    flex.simulator.control.flex(get_codes=[1017])
    flex.fetch()
    assert [form["request"] for form in flex.requests()].count("SendRequest") == 2


def test_a_query_that_refuses_days_is_asked_without(flex: Place) -> None:
    flex.simulator.control.flex(refuses_days=True)
    (received,) = flex.fetch()
    assert not received.shortfalls
    assert ["fd" in form for form in flex.requests()] == [True, False, False]


def test_the_collapse_to_one_day_is_told(flex: Place) -> None:
    """It is kept, but it is no month without events: a person is told, and the exit code says so."""
    flex.simulator.control.flex(one_day=True)
    with pytest.raises(DataError, match=r"the statement is of .* alone; it is kept, and the other days are missing"):
        flex.fetch()
    assert len(flex.archive.list_files()) == 1
    section = flex.section()
    assert (section.state, section.topic) == ("action-required", "flex")
    assert "alone" in section.problems[0]
    assert [topic for topic, over, _ in flex.told() if not over] == ["flex"]


def test_days_that_are_not_there_yet_are_waited_for(flex: Place) -> None:
    """What came is kept; systemd asks again in half an hour."""
    flex.simulator.control.flex(until=str(flex.yesterday() - timedelta(days=5)))
    with pytest.raises(StatementUnavailable, match="the days after it are not there yet"):
        flex.fetch()
    assert len(flex.archive.list_files()) == 1
    assert [topic for topic, over, _ in flex.told() if not over] == []
    flex.simulator.control.advance(21 * 3600)
    flex.simulator.control.flex(until=str(flex.yesterday() - timedelta(days=5)))
    with pytest.raises(StatementUnavailable):
        flex.fetch()
    assert [topic for topic, over, _ in flex.told() if not over] == ["flex"], "after most of a day"
    flex.simulator.control.flex(until=None)
    flex.fetch()
    assert ("flex", True) in [(topic, over) for topic, over, _ in flex.told()]


def test_an_account_that_is_younger_is_a_remark(flex: Place) -> None:
    flex.simulator.control.flex(begins=str(flex.yesterday() - timedelta(days=10)))
    (received,) = flex.fetch()
    assert "the statement begins on" in str(received.shortfalls[0])
    assert flex.section().state == "succeeded"
    assert [topic for topic, over, _ in flex.told() if not over] == ["flex"]


@pytest.mark.parametrize("code", [1010, 1011, 1012, 1013, 1014, 1015, 1016])
def test_a_refusal_is_sent_once_whoever_tries(flex: Place, code: int) -> None:
    flex.simulator.control.flex(send_codes=[code])
    for _ in range(3):
        with pytest.raises(ActionRequired, match=f"{code}") as caught:
            flex.fetch()
        assert caught.value.exit_code == 77
        assert "flex check --again" in str(caught.value.hint)
        flex.simulator.control.advance(3600)
    assert len(flex.requests()) == 1
    assert flex.section().state == "action-required"
    flex.budget().lift()
    flex.fetch()
    assert flex.section().state == "succeeded"


def test_a_new_token_is_asked_with_at_once(flex: Place) -> None:
    with pytest.raises(ActionRequired, match="1015"):
        flex.fetch(token="9" * 24)
    flex.fetch()


def test_a_locked_token_is_never_asked_with_again(flex: Place) -> None:
    """Each request would prolong it: none is sent, by no process, whatever is tried."""
    flex.simulator.control.flex(send_codes=[1025])
    with pytest.raises(ActionRequired, match="locked"):
        flex.fetch()
    for _ in range(5):
        with pytest.raises(ActionRequired, match="nothing was sent"):
            flex.fetch()
        with pytest.raises(StatementUnavailable, match="would prolong it"):
            flex.budget().lift()
    assert flex.simulator.control.state()["flex"]["requests_while_locked"] == 0
    flex.simulator.control.advance(LOCK_QUIET.total_seconds())
    with pytest.raises(ActionRequired, match="nothing was sent"):
        flex.fetch()
    assert flex.simulator.control.state()["flex"]["requests_while_locked"] == 0


def test_what_cannot_be_validated_is_tried_three_times_in_all(flex: Place) -> None:
    flex.simulator.control.flex(send_codes=[1020] * 9)
    kinds: list[type[IbkrError]] = []
    for _ in range(6):
        with pytest.raises((StatementUnavailable, ActionRequired)) as caught:
            flex.fetch()
        kinds.append(caught.type)
        flex.simulator.control.advance(3601)
    assert kinds == [StatementUnavailable, StatementUnavailable, *[ActionRequired] * 4]
    assert len(flex.requests()) == 3


def test_too_many_requests_are_waited_out_for_more_than_a_minute(flex: Place) -> None:
    flex.simulator.control.flex(get_codes=[1018])
    flex.fetch()
    assert flex.waited_s == pytest.approx(5 + 65, abs=1.5)


def test_a_429_is_obeyed(flex: Place) -> None:
    flex.simulator.control.fault("*/SendRequest", "status", status=429, headers={"Retry-After": "100"}, count=1)
    flex.fetch()
    assert flex.waited_s == pytest.approx(100 + 5, abs=1.5)


@pytest.mark.parametrize(
    ("body", "says"),
    [("csv", "CSV"), ("no-statement", "no statement in it"), ("trades", "Activity Flex Query")],
)
def test_what_is_no_statement_is_named_and_not_kept(flex: Place, body: str, says: str) -> None:
    flex.simulator.control.flex(body=body)
    with pytest.raises(DataError) as caught:
        flex.fetch()
    assert says in f"{caught.value} {caught.value.hint}"
    assert flex.archive.list_files() == []
    assert flex.section().state == "action-required"


@pytest.mark.parametrize(
    ("body", "says"), [("html", "a web page"), ("empty", "an empty answer"), ("truncated", "cut off")]
)
def test_what_may_come_whole_is_asked_for_again(flex: Place, body: str, says: str) -> None:
    flex.simulator.control.flex(body=body)
    with pytest.raises(StatementUnavailable, match=says):
        flex.fetch()
    assert flex.archive.list_files() == []
    assert flex.waited_s == pytest.approx(5 + 60 + 180, abs=0.5)


@pytest.mark.parametrize("kind", ["html", "close", "truncate", "status"])
def test_a_service_in_trouble_is_asked_again(flex: Place, kind: str) -> None:
    flex.simulator.control.fault(
        "*/GetStatement", kind, count=1, **({"status": 500} if kind in {"html", "status"} else {})
    )
    assert len(flex.fetch()) == 1


def test_a_redirect_is_not_followed(flex: Place) -> None:
    flex.simulator.control.fault(
        "*/SendRequest",
        "status",
        status=302,
        headers={"Location": f"{flex.simulator.url}/sso/Login"},
        body="x",
        count=3,
    )
    with pytest.raises(StatementUnavailable, match="HTTP 302"):
        flex.fetch()
    assert not [name for name in flex.simulator.control.state()["requests"] if "sso" in name]


def test_another_host_is_not_asked(flex: Place) -> None:
    flex.simulator.control.flex(
        url="https://gdcdyn.interactivebrokers.com/AccountManagement/FlexWebService/GetStatement"
    )
    assert len(flex.fetch()) == 1


def test_only_who_proves_to_be_ibkr_gets_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the machine's own list of authorities."""
    options = gateway_options(tmp_path)
    with Simulator(options) as other:
        client = FlexServiceClient(other.url, Secret(FLEX_TOKEN), read_timeout_s=5.0)
        answer = client.send_request(FLEX_QUERY, None)
        assert isinstance(answer, Unreachable)
        assert answer.why == (
            f"127.0.0.1:{other.port} does not prove who it is: its certificate is not trusted "
            "(self-signed certificate); nothing was sent"
        )
        assert other.control.state()["flex"]["forms"] == []
        monkeypatch.setenv("SSL_CERT_FILE", str(options.certificate))
        assert isinstance(client.send_request(FLEX_QUERY, None), Accepted)
        client.close()


def test_a_service_that_is_not_there_is_trouble_that_passes(flex: Place) -> None:
    flex.simulator.control.gateway(up=False)
    try:
        with pytest.raises(StatementUnavailable, match="cannot be reached"):
            flex.fetch()
    finally:
        flex.simulator.control.gateway(up=True)
    flex.fetch()


def test_another_account_is_refused(flex: Place) -> None:
    with pytest.raises(ConfigError, match="it is of U1234567"):
        flex.fetch(accounts=("U7654321",))
    assert flex.archive.list_files() == []


def test_everything_ends_where_ibkr_has_nothing(flex: Place) -> None:
    day = flex.yesterday()
    years = [last_days(300, day), last_days(300, day - timedelta(days=300)), last_days(300, day - timedelta(days=600))]
    flex.simulator.control.flex(begins=str(day - timedelta(days=450)))
    assert len(flex.fetch(*years, to_end=True)) == 2
    assert flex.ended.startswith(f"there is no statement of {years[2]}: IBKR says")
    assert len(flex.fetch(*years[:1], to_end=True)) == 1
    assert flex.ended == ""
    with pytest.raises(StatementMissing):
        flex.fetch(*years[2:])


@pytest.mark.parametrize("renews", [True, False])
def test_what_came_before_a_failure_is_in_the_history(flex: Place, renews: bool) -> None:
    """The next fetch would bring the same, which renews nothing. A history that cannot be renewed hides no failure."""
    day = flex.yesterday()
    flex.simulator.control.flex(begins=str(day - timedelta(days=250)))
    flex.rebuild_error = None if renews else DatabaseUnavailable("away")
    with pytest.raises(StatementMissing):
        flex.fetch(last_days(300, day), last_days(300, day - timedelta(days=300)))
    assert (len(flex.archive.list_files()), flex.rebuilt) == (1, 1)


@pytest.mark.parametrize(("left", "tells"), [(15, 0), (14, 1), (8, 1), (7, 1), (1, 1), (-1, 1)])
def test_the_end_of_the_token_is_told(flex: Place, left: int, tells: int) -> None:
    flex.fetch(expires=flex.now().date() + timedelta(days=left))
    assert len([topic for topic, over, _ in flex.told() if topic == "flex-token" and not over]) == tells
    assert len(flex.section().problems) == tells
