"""IBKR's Flex Web Service: has a statement made, hands it out when it is ready, and every trouble on demand.

Source: docs/reference/flex-service.md.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from ibkr_tools.simulator.account_life.statement_writer import NoStatementError
from ibkr_tools.simulator.flex_statements import StatementSource, statement_of

__all__ = ["FLEX_QUERY", "FLEX_TOKEN", "FlexAnswer", "FlexService", "FlexSettings"]

FLEX_TOKEN, FLEX_QUERY = "123456789012345678901234", "1234567"  # opens nothing

_SATURDAY = 5
_MAX_DAYS = 365
_SAVED_DAYS = 365
"""What the query's own period is, in days."""

_PER_MINUTE = 10
_TOKEN_ERRORS = frozenset({1012, 1015})
_WARNINGS = frozenset({1019, 1025})
"""Errors that come as Warn; the others are Fail."""

_MESSAGES = {
    1001: "Statement could not be generated at this time. Please try again shortly.",
    1003: "Statement is not available.",
    1012: "Token has expired.",
    1014: "Query is invalid.",
    1015: "Token is invalid.",
    1017: "Reference code is invalid.",
    1018: "Too many requests have been made from this token. Please try again shortly.",
    1019: "Statement generation in progress. Please try again shortly.",
    1020: "Invalid request or unable to validate request.",
    1025: "Token is locked due to too many failed attempts.",
}

Count = Annotated[int, msgspec.Meta(ge=0)]


class FlexSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the service behaves.

    `token` and `query` are the right ones. `send_codes` and `get_codes` are the errors with which the next requests of
    each kind are answered, 0: with none. `not_ready`: so often a statement is being made when it is asked for.
    `refuses_days`: the query answers 1003 to any days that it is asked for. `one_day`: statements are of the last day
    alone. `body`: what comes in place of a statement. `url`: where a statement is said to be; empty: where it is.
    `begins` and `until`: the first and the last day that there are statements of; null: ever, yesterday. `paced`: more
    than one request in a second or ten in a minute are answered 1018. `lock_after`: so many wrong tokens lock it.
    """

    token: str = FLEX_TOKEN
    query: str = FLEX_QUERY
    send_codes: tuple[Count, ...] = ()
    get_codes: tuple[Count, ...] = ()
    not_ready: Count = 1
    refuses_days: bool = False
    one_day: bool = False
    body: Literal["", "html", "csv", "truncated", "empty", "no-statement", "trades"] = ""
    url: str = ""
    begins: date | None = None
    until: date | None = None
    paced: bool = True
    lock_after: Annotated[int, msgspec.Meta(ge=1)] = 5


@dataclass(frozen=True)
class FlexAnswer:
    """A body, and what kind it is of."""

    body: bytes
    content_type: str = "text/xml"


@dataclass
class _Pending:
    from_day: date
    to_day: date
    not_ready: int


@dataclass
class FlexService:
    """The service's memory; times are simulated seconds since the epoch."""

    accounts: Sequence[str]
    source: StatementSource = statement_of
    settings: FlexSettings = field(default_factory=FlexSettings)
    send_codes: deque[int] = field(default_factory=deque)
    get_codes: deque[int] = field(default_factory=deque)
    failures: int = 0
    is_locked: bool = False
    requests_while_locked: int = 0
    tokens_in_urls: int = 0
    most_per_minute: int = 0
    forms: list[dict[str, str]] = field(default_factory=list)
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _arrived: deque[float] = field(default_factory=deque)
    _made: int = 0

    def change(self, settings: FlexSettings) -> None:
        """Behave so from now on."""
        self.send_codes.extend(settings.send_codes)
        self.get_codes.extend(settings.get_codes)
        # What has been ordered once is not ordered again by the next change.
        self.settings = msgspec.structs.replace(settings, send_codes=(), get_codes=())

    def reset(self) -> None:
        """Forget everything, and behave as by default."""
        self.settings = FlexSettings()
        self.send_codes.clear()
        self.get_codes.clear()
        self.failures, self.is_locked = 0, False
        self.requests_while_locked = self.tokens_in_urls = self.most_per_minute = 0
        self.forms.clear()
        self._pending.clear()
        self._arrived.clear()

    def state(self) -> dict[str, Any]:
        """Return settings and counters; the token is in none of the forms."""
        return {
            "settings": msgspec.to_builtins(self.settings),
            "locked": self.is_locked,
            "failures": self.failures,
            "requests_while_locked": self.requests_while_locked,
            "tokens_in_urls": self.tokens_in_urls,
            "most_per_minute": self.most_per_minute,
            "forms": list(self.forms),
        }

    def send_request(self, form: Mapping[str, str], now: float, url: str) -> FlexAnswer:
        """Have a statement made; `url` is where it will be."""
        code = self._refusal("SendRequest", form, now, self.send_codes)
        if not code and form.get("q") != self.settings.query:
            code = 1014
        if code:
            return _error(code, now)
        days = self._days(form, now)
        if isinstance(days, int):
            return _error(days, now)
        self._made += 1
        reference = f"{7_000_000_000 + self._made}"
        self._pending[reference] = _Pending(*days, not_ready=self.settings.not_ready)
        return _envelope(
            now,
            f"<Status>Success</Status><ReferenceCode>{reference}</ReferenceCode><Url>{self.settings.url or url}</Url>",
        )

    def get_statement(self, form: Mapping[str, str], now: float) -> FlexAnswer:
        """Hand a statement out."""
        code = self._refusal("GetStatement", form, now, self.get_codes)
        pending = self._pending.get(form.get("q", ""))
        if not code and pending is None:
            code = 1017
        if code or pending is None:
            return _error(code, now)
        if pending.not_ready > 0:
            pending.not_ready -= 1
            return _error(1019, now)
        return self._document(pending, now)

    def _refusal(self, kind: str, form: Mapping[str, str], now: float, codes: deque[int]) -> int:
        self.forms.append({"request": kind, **{key: value for key, value in form.items() if key != "t"}})
        is_fast = self._count_arrival(now)
        if self.is_locked:
            self.requests_while_locked += 1
            return 1025
        code = codes.popleft() if codes else 0
        if not code and is_fast and self.settings.paced:
            code = 1018
        if not code and form.get("v") != "3":
            code = 1020
        if not code and form.get("t") != self.settings.token:
            code = 1015
        if code in _TOKEN_ERRORS:
            self.failures += 1
            self.is_locked = self.failures >= self.settings.lock_after
        if code == 1025:
            self.is_locked = True
        return code

    def _count_arrival(self, now: float) -> bool:
        """Say whether this is one request too many, in a second or in a minute."""
        is_close = bool(self._arrived) and now - self._arrived[-1] < 1.0
        self._arrived.append(now)
        while self._arrived[0] <= now - 60.0:
            self._arrived.popleft()
        self.most_per_minute = max(self.most_per_minute, len(self._arrived))
        return is_close or len(self._arrived) > _PER_MINUTE

    def _days(self, form: Mapping[str, str], now: float) -> tuple[date, date] | int:
        """Return the days of a statement, or an error."""
        settings, today = self.settings, datetime.fromtimestamp(now, UTC).date()
        until = settings.until or today - timedelta(days=1)
        if "fd" in form or "td" in form:
            try:
                from_day, to_day = (datetime.strptime(form[name], "%Y%m%d").date() for name in ("fd", "td"))  # noqa: DTZ007  # a day
            except (KeyError, ValueError):
                return 1020
            if not 0 <= (to_day - from_day).days < _MAX_DAYS:
                return 1020
            if settings.refuses_days:
                return 1003
        else:
            from_day, to_day = until - timedelta(days=_SAVED_DAYS - 1), until
        from_day, to_day = max(from_day, settings.begins or from_day), min(to_day, until)
        while from_day.weekday() >= _SATURDAY:
            from_day += timedelta(days=1)
        while to_day.weekday() >= _SATURDAY:
            to_day -= timedelta(days=1)
        if from_day > to_day:
            return 1003
        return (to_day if settings.one_day else from_day), to_day

    def _document(self, pending: _Pending, now: float) -> FlexAnswer:
        # Statements have IBKR's time, and no zone.
        generated_at = datetime.fromtimestamp(now, ZoneInfo("America/New_York")).replace(tzinfo=None)
        try:
            xml = self.source(self.accounts, pending.from_day, pending.to_day, generated_at)
        except NoStatementError:
            return _error(1003, now)
        match self.settings.body:
            case "html":
                page = b"<!DOCTYPE html><html><body>Our services are temporarily unavailable.</body></html>"
                return FlexAnswer(page, "text/html")
            case "csv":
                return FlexAnswer(b'"ClientAccountID","Symbol"\n"U1234567","VWRL"\n', "text/plain")
            case "truncated":
                return FlexAnswer(xml[: len(xml) // 2])
            case "empty":
                return FlexAnswer(b"")
            case "no-statement":
                return FlexAnswer(
                    b'<FlexQueryResponse queryName="x" type="AF"><FlexStatements count="0"/></FlexQueryResponse>'
                )
            case "trades":
                return FlexAnswer(xml.replace(b'type="AF"', b'type="TCF"'))
        return FlexAnswer(xml)


def _envelope(now: float, content: str) -> FlexAnswer:
    local = datetime.fromtimestamp(now, ZoneInfo("America/New_York"))
    stamp = f"{local:%d %B, %Y %I:%M %p} {local.tzname()}"
    return FlexAnswer(f"<FlexStatementResponse timestamp='{stamp}'>{content}</FlexStatementResponse>".encode())


def _error(code: int, now: float) -> FlexAnswer:
    status = "Warn" if code in _WARNINGS else "Fail"
    message = _MESSAGES.get(code, f"Error {code}.")
    return _envelope(
        now, f"<Status>{status}</Status><ErrorCode>{code}</ErrorCode><ErrorMessage>{message}</ErrorMessage>"
    )
