"""Reads that are tried again: exponential backoff with jitter, within a bound, and Retry-After is obeyed.

Reads change nothing, so each may be sent twice. What passes by itself is tried again: 5xx, a dropped connection, a web
page, half an answer, none at all. What IBKR means (4xx, no session, 429) is not.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from ibkr_tools.duration_format import format_wait
from ibkr_tools.errors import (
    ConfigError,
    GatewayUnavailable,
    IbkrError,
    MalformedResponse,
    RateLimited,
    UpstreamUnavailable,
    UsageError,
)
from ibkr_tools.fetch.retry_limits import DEFAULT_RETRY_S, MAX_RETRY_S
from ibkr_tools.portal.endpoints import Endpoint
from ibkr_tools.portal.response_cache import ALWAYS_CACHED_INTERVAL_S

if TYPE_CHECKING:
    from tenacity import RetryCallState

MAX_ATTEMPTS = 4
"""How often one read is sent at most within the default time; within a longer one, as often as the backoff allows."""

INITIAL_BACKOFF_S = 0.5
MAX_BACKOFF_S = 15.0
JITTER_S = 0.5

_SERVER_ERROR_STATUS = 500

Sleep = Callable[[float], object]
Attempt = AbstractContextManager[Any]
"""A block that sends a read once; an error that the read is tried again for does not leave the block."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """For how long one read is tried again (seconds; 0: not at all), and how often it is sent (None: no limit)."""

    seconds: float = DEFAULT_RETRY_S
    max_attempts: int | None = MAX_ATTEMPTS

    @classmethod
    def within(cls, seconds: float) -> "RetryPolicy":
        """Returns the policy of `--retry-for`.

        Raises:
            UsageError: the time is negative, or longer than `MAX_RETRY_S`.
        """
        if not 0 <= seconds <= MAX_RETRY_S:
            raise UsageError(f"cannot try again for {seconds} s, but for {MAX_RETRY_S:.0f} at most")
        return cls(seconds, MAX_ATTEMPTS if seconds <= DEFAULT_RETRY_S else None)


NO_RETRY = RetryPolicy(0.0, 1)

CONFIRMATION_RETRY = RetryPolicy(5.0, 3)
"""For finding out whether one read alone fails, after its own tries: short, since they have taken their time."""


def is_transient(error: BaseException) -> bool:
    """Says whether the same read may succeed a moment later."""
    if isinstance(error, UpstreamUnavailable):
        return error.status is None or error.status >= _SERVER_ERROR_STATUS
    return isinstance(error, MalformedResponse)


class _FirstAttempt:
    """The attempt that most reads need alone; it keeps an error of ours."""

    error: IbkrError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error if isinstance(error, IbkrError) else None
        return self.error is not None


class Retrier:
    """Tries reads again, for one fetch; threads share it.

    Once it is stopped, nothing is tried again any more: the circuit is broken when one read has used up its tries.
    """

    def __init__(self, policy: RetryPolicy, sleep: Sleep | None = None) -> None:
        """Creates a retrier.

        Args:
            policy: the bound of each read.
            sleep: waits so many seconds; default: real ones, which end when it is stopped.
        """
        self.policy = policy
        self._stopped = threading.Event()
        self.sleep: Sleep = sleep or self._stopped.wait

    def stop(self) -> None:
        """Ends all waits; no read is tried again afterwards."""
        self._stopped.set()

    def attempts(
        self, endpoint: Endpoint, on_retry: Callable[[str], None], policy: RetryPolicy | None = None
    ) -> Iterator[Attempt]:
        """Yields the attempts of one read, with pauses between them; whoever has an answer goes on no further.

            for attempt in retrier.attempts(endpoint, on_retry):
                with attempt:
                    return client.send(endpoint)

        Args:
            endpoint: what is asked for.
            on_retry: is told before each pause, in a few words.
            policy: another bound than that of the others.

        Raises:
            IbkrError: that of the last attempt; where the call may be made once in minutes, it says when the next one
                is.
        """
        policy, began_s = policy or self.policy, time.monotonic()
        first = _FirstAttempt()
        yield first
        error = first.error
        if error is None:
            return
        if endpoint.interval_s >= ALWAYS_CACHED_INTERVAL_S:
            if not isinstance(error, ConfigError | GatewayUnavailable | RateLimited):
                wait = format_wait(endpoint.interval_s)
                error.add(f"that used up a call that IBKR takes once in {wait}; the next one is possible in {wait}")
            raise error
        if is_transient(error) and policy.seconds and not self._stopped.is_set():
            try:
                yield from self._further_attempts(policy, error, began_s, on_retry)
            except IbkrError as last_error:
                error = last_error
            else:
                return
        if isinstance(error, UpstreamUnavailable) and error.wait_s is not None:
            error.add(f"IBKR asks to come back in {format_wait(error.wait_s)}")
        raise error from error.__cause__

    def _further_attempts(
        self, policy: RetryPolicy, first_error: IbkrError, began_s: float, on_retry: Callable[[str], None]
    ) -> Iterator[Attempt]:
        # Nobody pays for the library whose reads succeed at once.
        import tenacity

        sent_s = began_s

        def is_over(state: "RetryCallState") -> bool:
            now_s = time.monotonic()
            # Pauses that a test does not wait for count all the same.
            elapsed_s = max(now_s - began_s, state.idle_for)
            # What has taken long to fail will do so again.
            return self._stopped.is_set() or elapsed_s + state.upcoming_sleep + now_s - sent_s > policy.seconds

        def before_pause(state: "RetryCallState") -> None:
            error = state.outcome.exception() if state.outcome else None
            why = error.message if isinstance(error, IbkrError) else ""
            on_retry(f"trying again in {format_wait(state.upcoming_sleep)} ({why})")

        def sleep(seconds: float) -> None:
            self.sleep(seconds)

        exponential_backoff = tenacity.wait_exponential(INITIAL_BACKOFF_S, MAX_BACKOFF_S)
        jitter = tenacity.wait_random(0, JITTER_S)

        def backoff_with_jitter_s(state: "RetryCallState") -> float:
            error = state.outcome.exception() if state.outcome else None
            stated_s = error.wait_s if isinstance(error, UpstreamUnavailable) else None
            return stated_s or exponential_backoff(state) + jitter(state)

        stop_after = tenacity.stop_after_attempt(policy.max_attempts) if policy.max_attempts else tenacity.stop_never
        attempts = iter(
            tenacity.Retrying(
                retry=tenacity.retry_if_exception(is_transient),
                stop=lambda state: stop_after(state) or is_over(state),
                wait=backoff_with_jitter_s,
                sleep=sleep,
                before_sleep=before_pause,
                reraise=True,
            )
        )
        with next(attempts):
            # The first attempt has been made.
            raise first_error
        for attempt in attempts:
            sent_s = time.monotonic()
            yield attempt
