"""Gets one statement from IBKR: requests and waits, as `flex_policy` says, within the budget of the token."""

import threading
import time
from collections.abc import Callable
from io import BufferedReader, BytesIO
from typing import NoReturn

from ibkr_tools.errors import (
    ActionRequired,
    ConfigError,
    DataError,
    MalformedResponse,
    StatementMissing,
    StatementUnavailable,
)
from ibkr_tools.flex.flex_answers import Accepted, Answer, StatementReceived, Unusable
from ibkr_tools.flex.flex_budget import AGAIN_HINT, TokenBudget
from ibkr_tools.flex.flex_periods import Period
from ibkr_tools.flex.flex_policy import Call, Exchange, Finish, Question, Request, Stop, StopKind, next_step
from ibkr_tools.flex.flex_service import FlexServiceClient
from ibkr_tools.flex.statement_file import StatementFile, read_statement_file

QUERY_CODES = frozenset({1010, 1014, 1016})
"""Errors that are about the query, so that another one ends them."""

NOTICE_S = 1.0
"""A longer wait is told."""


class StatementFetcher:
    """Gets statements of one query, one after the other."""

    def __init__(
        self,
        client: FlexServiceClient,
        budget: TokenBudget,
        query: str,
        *,
        progress: Callable[[str], object] = lambda _: None,
        pause: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepares it; nothing is sent yet.

        Args:
            client: sends.
            budget: says when.
            query: the query's number.
            progress: is told what is waited for.
            pause: waits so many seconds; default: real ones.
            clock: seconds that never jump.
        """
        self._client = client
        self._budget = budget
        self._query = query
        self._progress = progress
        self._ended = threading.Event()
        self._pause = pause or self._ended.wait
        self._clock = clock

    def fetch(self, period: Period, *, is_recent: bool = True) -> StatementFile:
        """Returns what IBKR has of the days, whole and read.

        Args:
            period: a year at most.
            is_recent: whether it ends with the last day that IBKR has statements of.

        Raises:
            StatementMissing: there is none of days that are long past.
            StatementUnavailable: there is none for now.
            ActionRequired: token or query are refused; no process asks again until a person has done something.
            ConfigError: IBKR's certificate is not trusted, or the proxy of the environment is none or refuses.
            DataError: what came is no statement, and will not be one.
            OutputError: the budget cannot be written; nothing was sent.
        """
        history: list[Exchange] = []
        files: list[StatementFile] = []
        began_s = self._clock()
        while True:
            match next_step(Question(is_recent=is_recent), history, self._clock() - began_s):
                case Finish():
                    self._budget.record_success()
                    return files[-1]
                case Stop() as stop:
                    self._give_up(stop)
                case Request() as request:
                    self._wait(request, period)
                    answer = self._exchange(request, history, period, files)
                    history.append(Exchange(request.call, answer, request.with_days))

    def _wait(self, request: Request, period: Period) -> None:
        if request.blocks:
            self._budget.block(request.wait_s, "IBKR says that too many requests were sent")
        elif request.wait_s:
            if request.wait_s >= NOTICE_S:
                self._progress(f"statement of {period}: asked again in {request.wait_s:.0f} s")
            self._pause(request.wait_s)
            # Meanwhile another process may have been told to stop.
            self._budget.require_usable()
        wait_s = self._budget.reserve()
        if wait_s >= NOTICE_S:
            self._progress(f"statement of {period}: its turn comes in {wait_s:.0f} s")
        self._pause(wait_s)

    def _exchange(
        self, request: Request, history: list[Exchange], period: Period, files: list[StatementFile]
    ) -> Answer:
        if request.call is Call.SEND:
            self._progress(f"statement of {period}: asked for")
            return self._client.send_request(self._query, period if request.with_days else None)
        accepted = next(exchange.answer for exchange in reversed(history) if isinstance(exchange.answer, Accepted))
        self._progress(f"statement of {period}: fetched")
        answer = self._client.get_statement(accepted.reference, accepted.url)
        if isinstance(answer, StatementReceived):
            try:
                files.append(read_statement_file(BufferedReader(BytesIO(answer.xml))))
            except MalformedResponse as error:
                return Unusable(f"a statement, but {error.message}", passes=True)
        return answer

    def _give_up(self, stop: Stop) -> NoReturn:
        match stop.kind:
            case StopKind.NO_DATA:
                raise StatementMissing(stop.why)
            case StopKind.LATER:
                raise StatementUnavailable(stop.why, hint=stop.hint)
            case StopKind.CONFIG:
                raise ConfigError(stop.why, hint=stop.hint)
            case StopKind.UNUSABLE:
                raise DataError(stop.why, hint=stop.hint)
            case StopKind.VALIDATION:
                if self._budget.record_validation_failure(stop.wait_s, stop.why):
                    raise StatementUnavailable(f"{stop.why}; asked again in an hour", hint=stop.hint)
                self._budget.record_refusal(stop.code, stop.why, stop.hint, of_query=False)
            case StopKind.PERSON | StopKind.LOCKED:
                self._budget.record_refusal(
                    stop.code,
                    stop.why,
                    stop.hint,
                    of_query=stop.code in QUERY_CODES,
                    is_lock=stop.kind is StopKind.LOCKED,
                )
        raise ActionRequired(stop.why, hint=f"{stop.hint or ''} {AGAIN_HINT}".strip())
