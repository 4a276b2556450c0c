"""Reads are tried again within a bound; what IBKR means is not."""

import time
from collections.abc import Callable

import pytest

from ibkr_tools.errors import (
    DataError,
    ErrorResponse,
    GatewayUnavailable,
    IbkrError,
    MalformedResponse,
    RateLimited,
    SessionUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
    UsageError,
)
from ibkr_tools.fetch.retry import Retrier, RetryPolicy, is_transient
from ibkr_tools.portal.endpoints import READS, Endpoint

LEDGER, PERFORMANCE = READS["ledger"], READS["performance"]


class Sent:
    """A read that fails so many times, and what was paused and told meanwhile."""

    def __init__(self, make: Callable[[], IbkrError], times: int = 1000, takes_s: float = 0.0) -> None:
        self._make = make
        self._times = times
        self._takes_s = takes_s
        self.sent = 0
        self.paused: list[float] = []
        self.told: list[str] = []

    def __call__(self) -> str:
        self.sent += 1
        if self._takes_s:
            end = time.monotonic() + self._takes_s
            while time.monotonic() < end:
                pass
        if self.sent <= self._times:
            raise self._make()
        return "there"

    def read(self, policy: RetryPolicy | None = None, endpoint: str = "ledger") -> str:
        return send_until_answered(Retrier(policy or RetryPolicy(), self.paused.append), self, READS[endpoint])


def send_until_answered(
    retrier: Retrier, sent: Sent, endpoint: Endpoint = LEDGER, on_retry: Callable[[str], None] | None = None
) -> str:
    """Sends a read as often as the retrier says."""
    for attempt in retrier.attempts(endpoint, on_retry or sent.told.append):
        with attempt:
            return sent()
    raise AssertionError("no attempt has an answer")


def busy(wait_s: float | None = None) -> UpstreamUnavailable:
    return UpstreamUnavailable("IBKR answers HTTP 503", status=503, wait_s=wait_s)


TRANSIENT = [
    UpstreamUnavailable("HTTP 500", status=500),
    UpstreamUnavailable("a web page instead of data"),
    UpstreamUnavailable("failed to process request"),
    UpstreamSilent("no answer within 25 s"),
    MalformedResponse("half of it"),
]
MEANT = [
    UpstreamUnavailable("HTTP 403", status=403),
    UpstreamUnavailable("HTTP 423", status=423),
    UpstreamUnavailable("failed to process request", status=400),
    ErrorResponse("HTTP 404"),
    DataError("expected a list"),
    RateLimited("HTTP 429", wait_s=900.0),
    SessionUnavailable("HTTP 401"),
    GatewayUnavailable("nothing listens"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=str)
def test_what_passes_is_tried_four_times(error: IbkrError) -> None:
    sent = Sent(lambda: error, times=3)
    assert (sent.read(), sent.sent) == ("there", 4)
    failing = Sent(lambda: error)
    with pytest.raises(type(error)):
        failing.read()
    assert failing.sent == 4


@pytest.mark.parametrize("error", MEANT, ids=str)
def test_what_is_meant_is_not_tried_again(error: IbkrError) -> None:
    assert not is_transient(error)
    sent = Sent(lambda: error)
    with pytest.raises(type(error)):
        sent.read()
    assert sent.sent == 1


def test_pauses_grow_and_are_told() -> None:
    sent = Sent(busy, times=3)
    sent.read()
    assert all(at <= pause <= at + 0.5 for at, pause in zip((0.5, 1.0, 2.0), sent.paused, strict=True))
    assert sent.told[0] == "trying again in 1 s (IBKR answers HTTP 503)"
    assert len(sent.told) == 3


def test_jitter_spreads_what_fails_at_once() -> None:
    first = set()
    for _ in range(20):
        sent = Sent(busy, times=1)
        sent.read()
        first.add(sent.paused[0])
    assert len(first) > 10


def test_retry_after_is_obeyed_within_the_bound() -> None:
    sent = Sent(lambda: busy(12.0), times=1)
    assert sent.read() == "there"
    assert sent.paused == [12.0]


def test_retry_after_beyond_the_bound_is_said() -> None:
    sent = Sent(lambda: busy(120.0))
    with pytest.raises(UpstreamUnavailable, match="HTTP 503; IBKR asks to come back in 2 min"):
        sent.read()
    assert sent.sent == 1


def test_the_bound_counts_what_was_waited() -> None:
    sent = Sent(lambda: busy(14.0))
    with pytest.raises(UpstreamUnavailable):
        sent.read()
    assert sent.sent == 3


def test_what_took_long_to_fail_is_not_tried_beyond_the_bound() -> None:
    """Another try would take as long."""
    sent = Sent(lambda: UpstreamSilent("no answer"), takes_s=0.2)
    with pytest.raises(UpstreamSilent):
        sent.read(RetryPolicy(0.3, None))
    assert sent.sent == 1


def test_nothing_is_tried_again_where_that_is_off() -> None:
    sent = Sent(busy)
    with pytest.raises(UpstreamUnavailable):
        sent.read(RetryPolicy.within(0))
    assert sent.sent == 1


def test_a_longer_bound_is_used_up() -> None:
    sent = Sent(busy)
    with pytest.raises(UpstreamUnavailable):
        sent.read(RetryPolicy.within(120))
    assert sent.sent > 8
    assert 100 < sum(sent.paused) <= 120


def test_nothing_is_tried_again_once_the_circuit_is_broken() -> None:
    sent = Sent(busy)
    retrying = Retrier(RetryPolicy(), sent.paused.append)
    retrying.stop()
    with pytest.raises(UpstreamUnavailable):
        send_until_answered(retrying, sent)
    assert sent.sent == 1


def test_who_waits_stops_at_once() -> None:
    retrying = Retrier(RetryPolicy(3000.0, None))
    sent = Sent(lambda: busy(1000.0))

    with pytest.raises(UpstreamUnavailable):
        send_until_answered(retrying, sent, on_retry=lambda _text: retrying.stop())
    assert sent.sent == 2


@pytest.mark.parametrize("error", [busy, lambda: ErrorResponse("HTTP 400")])
def test_a_call_of_fifteen_minutes_is_not_used_up_in_silence(error: Callable[[], IbkrError]) -> None:
    sent = Sent(error)
    with pytest.raises(IbkrError, match="used up a call that IBKR takes once in 15 min; the next one is possible in"):
        sent.read(endpoint="performance")
    assert sent.sent == 1


def test_what_was_not_sent_used_nothing_up() -> None:
    sent = Sent(lambda: GatewayUnavailable("nothing listens"))
    with pytest.raises(GatewayUnavailable) as caught:
        sent.read(endpoint="performance")
    assert caught.value.message == "nothing listens"


@pytest.mark.parametrize("seconds", [-1.0, 3601.0, float("inf"), float("nan")])
def test_nobody_tries_for_ever(seconds: float) -> None:
    with pytest.raises(UsageError, match="cannot try again for"):
        RetryPolicy.within(seconds)
