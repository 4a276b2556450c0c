"""One fetch of statements as a task: gets, keeps and judges them, writes the status, and has a person told once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from loguru import logger

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import FLEX_TOPIC, TOKEN_TOPIC, AlertMessage
from ibkr_tools.errors import ActionRequired, ConfigError, DataError, IbkrError, StatementMissing, StatementUnavailable
from ibkr_tools.flex.flex_budget import TokenBudget
from ibkr_tools.flex.flex_coverage import Shortfall, ShortfallKind, find_shortfalls
from ibkr_tools.flex.flex_errors import RENEWAL_HINT
from ibkr_tools.flex.flex_periods import Period
from ibkr_tools.flex.statement_archive import ArchivedFile, StatementArchive
from ibkr_tools.flex.statement_fetcher import StatementFetcher
from ibkr_tools.flex.statement_file import StatementFile
from ibkr_tools.flex.token_expiry import describe_expiry, warning_stage
from ibkr_tools.status import FlexSection, StatusFile, utc_now

UNIT = "ibkr-flex.service"

LONG_FAILURE = timedelta(hours=10)
"""A person is told of trouble that should have passed by then, before systemd gives the unit up for the day."""

_CONTRADICTION_TODO = "ibkr-tools flex list names the file; ibkr-tools flex check FILE says what does not add up"


@dataclass(frozen=True)
class Received:
    """One statement that came for a period; `archived` is None if the same was kept before."""

    period: Period
    file: StatementFile
    archived: ArchivedFile | None
    shortfalls: tuple[Shortfall, ...]

    @property
    def covered_to(self) -> date:
        """Its last day."""
        return max(statement.to_day for statement in self.file.statements)


@dataclass
class _Findings:
    received: list[Received] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    todo: str | None = None


class FlexTask:
    """One fetch with its collaborators; `run` may be called once."""

    def __init__(
        self,
        fetcher: StatementFetcher,
        budget: TokenBudget,
        archive: StatementArchive,
        status: StatusFile,
        outbox: Path,
        *,
        user: str,
        accounts: Collection[str],
        token_expires: date | None,
        rebuild: Callable[[], object],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Creates a task; nothing is sent yet.

        Args:
            fetcher: gets statements.
            budget: says whether anything may be sent at all.
            archive: keeps them.
            status: where it is said how the fetch went.
            outbox: where messages for a person are left.
            user: the IBKR user, whom messages name.
            accounts: by number; a statement of another one is refused.
            token_expires: the token's last day, if it is known.
            rebuild: renews the history.
            now: the time, aware, in UTC.
        """
        self._fetcher = fetcher
        self._budget = budget
        self._archive = archive
        self._status = status
        self._outbox = outbox
        self._user = user
        self._accounts = accounts
        self._token_expires = token_expires
        self._rebuild = rebuild
        self._now = now

    def run(
        self, periods: Sequence[Period], recent_day: date, on_received: Callable[[Received], object], *, to_end: bool
    ) -> str:
        """Gets a statement for each period and keeps it; returns why it ended before the last one, empty: it did not.

        Args:
            periods: a year at most each, the newest first; none: nothing was due.
            recent_day: the last day that IBKR has statements of.
            on_received: is told of each statement that was kept.
            to_end: whether it ends without an error where IBKR has no older statements.

        Raises:
            StatementUnavailable: not all days are there; what came was kept.
            ActionRequired: a person has to do something first.
            ConfigError: a statement is of an account that is not expected, or something here has to be set right first.
            DataError: what came is no statement, or one of the last day alone.
            OutputError: nothing could be written.
        """
        findings = _Findings()
        ended = ""
        try:
            try:
                with self._budget.single_flight():
                    self._budget.require_usable()
                    ended = self._fetch_all(periods, recent_day, findings, on_received, to_end=to_end)
            except IbkrError as error:
                self._renew_history(findings, after=error)
                raise
            self._renew_history(findings)
            _require_covered(findings.received)
        except IbkrError as error:
            self._report_failure(error, findings)
            raise
        self._report_success(findings)
        return ended

    def _fetch_all(
        self,
        periods: Sequence[Period],
        recent_day: date,
        findings: _Findings,
        on_received: Callable[[Received], object],
        *,
        to_end: bool,
    ) -> str:
        for period in periods:
            try:
                file = self._fetcher.fetch(period, is_recent=period.to_day >= recent_day)
            except StatementMissing as error:
                if to_end and findings.received:
                    return f"there is no statement of {period}: {error.message}"
                raise
            file.require_past(self._now().replace(tzinfo=None))
            file.require_accounts(self._accounts)
            archived = self._archive.keep(file.xml, file.statements)
            shortfalls = tuple(find_shortfalls(period, file.statements, self._accounts))
            received = Received(period, file, archived, shortfalls)
            findings.received.append(received)
            for text, todo in _problems(received):
                findings.problems.append(text)
                findings.todo = findings.todo or todo
            on_received(received)
        return ""

    def _renew_history(self, findings: _Findings, *, after: IbkrError | None = None) -> None:
        """Renews the history if anything came, also before an error: the next fetch may bring nothing that is new."""
        if not any(received.archived for received in findings.received):
            return
        try:
            self._rebuild()
        except IbkrError as error:
            if after is None:
                raise
            logger.warning("the history is not renewed: {}", error.message)

    def _report_success(self, findings: _Findings) -> None:
        if findings.received:
            self._budget.record_covered()
        what = f"{len(findings.received)} statement{'' if len(findings.received) == 1 else 's'}"
        why = f"{what} of {', '.join(sorted(self._accounts))}" if findings.received else "nothing was due"
        self._write("succeeded", why, findings, topic=FLEX_TOPIC if findings.problems else None)
        if findings.problems:
            self._tell(FLEX_TOPIC, "; ".join(findings.problems[:3]), "the statement is kept", findings.todo)
        elif findings.received:
            self._tell_over(FLEX_TOPIC, "statements did not come, or did not add up; they do")
        if findings.received:
            self._tell_over(alert_outbox.unit_topic(UNIT), f"{UNIT} had failed; it works")

    def _report_failure(self, error: IbkrError, findings: _Findings) -> None:
        needs_person = isinstance(error, ActionRequired | ConfigError | DataError)
        is_long = not needs_person and self._has_failed_for_long(error)
        topic = FLEX_TOPIC if needs_person or is_long else None
        state: Literal["failed", "action-required"] = "action-required" if needs_person else "failed"
        self._write(state, error.message, findings, todo=error.hint if needs_person else None, topic=topic)
        if needs_person:
            then = "it is asked for again by the next turn of the timer, which will hardly help"
            if isinstance(error, ActionRequired):
                then = "no statement is asked for until you have acted"
            self._tell(FLEX_TOPIC, error.message, then, error.hint)
        elif is_long:
            what = f"no statement has come for {LONG_FAILURE.total_seconds() / 3600:.0f} hours: {error.message}"
            self._tell(FLEX_TOPIC, what, "it is asked for again", "See docs/flex.md#when-no-statement-comes")

    def _has_failed_for_long(self, error: IbkrError) -> bool:
        if not isinstance(error, StatementUnavailable):
            return False
        return self._budget.record_failure() >= LONG_FAILURE

    def _write(
        self,
        state: Literal["succeeded", "failed", "action-required"],
        why: str,
        findings: _Findings,
        *,
        todo: str | None = None,
        topic: str | None = None,
    ) -> None:
        before = self._status.read_section(FlexSection)
        covered_to = max((received.covered_to for received in findings.received), default=None)
        problems = list(findings.problems)
        if not findings.received and before is not None and state == "succeeded":
            # Nothing was due: what was found last still is.
            problems += [text for text in before.problems if text not in problems]
        today = self._now().astimezone(UTC).date()
        stage = warning_stage(self._token_expires, today)
        if self._token_expires is not None and stage is not None:
            text = describe_expiry(self._token_expires, stage)
            problems = [*(problem for problem in problems if not problem.startswith(text[:35])), text]
            self._tell(TOKEN_TOPIC, text, "statements are fetched until then", f"{RENEWAL_HINT} ({text})")
        else:
            self._tell_over(TOKEN_TOPIC, "the token was about to end; it is renewed")
        section = FlexSection(
            updated_at=self._now(),
            state=state,
            why=why,
            todo=todo or findings.todo,
            problems=tuple(problems),
            covered_to=covered_to or (before.covered_to if before else None),
            token_expires=self._token_expires,
            topic=topic,
        )
        try:
            self._status.write(section)
        except OSError as error:
            logger.warning("{} cannot be written: {}", self._status.path, error.strerror)

    def _tell(self, topic: str, what: str, then: str, todo: str | None) -> None:
        self._put(AlertMessage(topic=topic, at=self._now(), what=what, next=then, todo=todo, user=self._user))

    def _tell_over(self, topic: str, what: str) -> None:
        then = "nothing, all is well"
        self._put(AlertMessage(topic=topic, at=self._now(), what=what, next=then, over=True, user=self._user))

    def _put(self, message: AlertMessage) -> None:
        try:
            alert_outbox.put(self._outbox, message)
        except OSError as error:
            logger.warning("a message cannot be left in {}: {}", self._outbox, error.strerror)


def _problems(received: Received) -> Iterator[tuple[str, str | None]]:
    """Yields what does not add up or is missing, each with what a person can do; days that may come are none."""
    for warning in received.file.warnings():
        yield warning, _CONTRADICTION_TODO
    for shortfall in received.shortfalls:
        if shortfall.kind is not ShortfallKind.LATE:
            yield str(shortfall), shortfall.todo


def _require_covered(received: Sequence[Received]) -> None:
    """Checks that the days that were asked for are there, or never were.

    Raises:
        DataError: a statement is of the last day alone.
        StatementUnavailable: the last days are not there yet.
    """
    shortfalls = [shortfall for one in received for shortfall in one.shortfalls]
    for shortfall in shortfalls:
        if shortfall.kind is ShortfallKind.ONE_DAY:
            raise DataError(f"{shortfall}; it is kept, and the other days are missing", hint=shortfall.todo)
    for shortfall in shortfalls:
        if shortfall.kind is ShortfallKind.LATE:
            raise StatementUnavailable(f"{shortfall}; it is kept, and the days after it are not there yet")
