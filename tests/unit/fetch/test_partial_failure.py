"""What a snapshot may go without, and what is trouble that passes."""

from collections.abc import Callable

import pytest

from ibkr_tools.errors import (
    BrokerageUnavailable,
    DataError,
    ErrorResponse,
    GatewayUnavailable,
    IbkrError,
    MalformedResponse,
    OutputError,
    RateLimited,
    SessionUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
)
from ibkr_tools.fetch import partial_failure
from ibkr_tools.fetch.plan import ApiCall, account_call
from ibkr_tools.portal.endpoints import READS

HTTP_500 = UpstreamUnavailable("HTTP 500", status=500)
ACCOUNTS = ("U1", "U2", "U3")
FAILED = account_call("ledger", "U1")
PERFORMANCE = ApiCall(READS["performance"])


class World:
    """Answers, but for what is said to fail: whole accounts, or one resource of one."""

    def __init__(self, *failing: str, error: IbkrError = HTTP_500, after: Callable[[], None] = lambda: None) -> None:
        self._failing = failing
        self._error = error
        self._after = after
        self.asked: list[str] = []

    def __call__(self, call: ApiCall) -> None:
        self.asked.append(str(call))
        self._after()
        if call.account in self._failing or str(call) in self._failing:
            raise self._error


@pytest.mark.parametrize("error", [HTTP_500, ErrorResponse("HTTP 404"), UpstreamUnavailable("HTTP 403", status=403)])
def test_an_account_that_alone_fails_everywhere_is_unavailable(error: IbkrError) -> None:
    world = World("U1", error=error)
    assert partial_failure.is_isolated_failure(error, FAILED, ACCOUNTS, world)
    assert partial_failure.is_account_unavailable(error, FAILED, ACCOUNTS, world)
    assert world.asked == ["summary of U2", "summary of U1", "positions of U1"]


@pytest.mark.parametrize("error", [UpstreamSilent("nothing"), DataError("a list"), MalformedResponse("half")])
def test_other_errors_say_nothing_of_an_account(error: IbkrError) -> None:
    assert not partial_failure.is_account_unavailable(error, FAILED, ACCOUNTS, World("U1"))


def test_whoever_answers_something_lives() -> None:
    assert not partial_failure.is_account_unavailable(HTTP_500, FAILED, ACCOUNTS, World("U1 ledger"))


def test_one_account_alone_cannot_be_told_apart() -> None:
    assert not partial_failure.is_account_unavailable(HTTP_500, FAILED, ("U1",), World("U1"))


def test_another_unavailable_account_is_no_control() -> None:
    assert partial_failure.is_isolated_failure(HTTP_500, FAILED, ACCOUNTS, World("U1", "U2"))
    assert not partial_failure.is_isolated_failure(HTTP_500, FAILED, ACCOUNTS, World(*ACCOUNTS))


def test_slow_trouble_is_not_looked_into_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five accounts that fail after ten seconds each would take longer than anybody waits."""
    monkeypatch.setattr(partial_failure, "CONTROL_TIMEOUT_S", -1.0)
    world = World(*ACCOUNTS)
    assert not partial_failure.is_isolated_failure(HTTP_500, FAILED, ACCOUNTS, world)
    assert len(world.asked) == 1


def test_a_session_that_is_lost_meanwhile_is_that() -> None:
    with pytest.raises(SessionUnavailable, match="HTTP 401"):
        partial_failure.is_isolated_failure(
            HTTP_500, FAILED, ACCOUNTS, World("U2", error=SessionUnavailable("HTTP 401"))
        )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HTTP_500, True),
        (UpstreamSilent("nothing"), True),
        (ErrorResponse("HTTP 404"), True),
        (RateLimited("in 15 min"), True),
        (BrokerageUnavailable("no bridge"), True),
        (DataError("a list"), True),
        (SessionUnavailable("HTTP 401"), True),
        (GatewayUnavailable("nothing listens"), False),
        (OutputError("no space"), False),
    ],
)
def test_what_a_supplementary_part_may_be_missing_for(error: IbkrError, expected: bool) -> None:
    assert partial_failure.may_omit_part(error, PERFORMANCE, ACCOUNTS, World()) is expected


def test_a_lost_session_is_no_missing_part() -> None:
    lost = SessionUnavailable("HTTP 401")
    with pytest.raises(SessionUnavailable):
        partial_failure.may_omit_part(lost, PERFORMANCE, ACCOUNTS, World(*ACCOUNTS, error=lost))
