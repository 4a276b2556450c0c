"""One snapshot of the account: every part asked for, every page, every account; or an error and nothing."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ibkr_tools.errors import (
    ConfigError,
    ErrorResponse,
    IbkrError,
    ImplausibleResponse,
    MalformedResponse,
    SessionUnavailable,
    UpstreamUnavailable,
    UsageError,
)
from ibkr_tools.fetch import cross_check
from ibkr_tools.fetch.accounts import AccountList, account_numbers, find, listed, masters, number_of
from ibkr_tools.fetch.calls import Call, Part, account_call
from ibkr_tools.fetch.document import Covers, Document
from ibkr_tools.fetch.gather import Freshness, Job, Unit, assemble, gather, jobs_of
from ibkr_tools.fetch.pages import MOST_PAGES, Page, Row, split
from ibkr_tools.fetch.plausibility import Evidence, evidence_of
from ibkr_tools.fetch.pool import Pool
from ibkr_tools.fetch.quirks import Asker, Preflights, require_shape
from ibkr_tools.fetch.retry import NO_RETRY, SECOND_CHANCE, Pause, Retrying, RetryPolicy, is_transient
from ibkr_tools.portal.client import ApiResponse, PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS, READS, SUBACCOUNTS2, Pagination
from ibkr_tools.portal.response_parser import parse_records

Progress = Callable[[str], None]
Counted = Callable[[int, int], None]


class Losses:
    """What to do about a session that is lost on the way: give up. `run.Waiting` waits for the next one."""

    def is_lost(self, error: IbkrError) -> bool:
        """Says whether it makes sense to wait after this error."""
        del error
        return False

    def wait(self, error: IbkrError) -> None:
        """Returns once there is a session again; raises the error if there is none in time."""
        raise error


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Of which accounts a snapshot is, and what it may go without.

    `account` is that of the configuration; `accounts` are those asked for, by number or alias, none: all that the user
    may view; `known` are the numbers that this session's `/portfolio/accounts` has given, if somebody asked it already.
    `blame` is the error of an account in `accounts` that the user may not view. `partial`: go without an account that
    alone answers nothing. `optional` are the parts that may be missing.
    """

    account: str
    accounts: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    blame: type[IbkrError] = UsageError
    partial: bool = False
    optional: frozenset[str] = frozenset()


class Fetcher:
    """Fetches one snapshot, with clients that it makes as it needs them."""

    def __init__(
        self,
        make_client: Callable[[], PortalClient],
        *,
        now: Callable[[], datetime],
        losses: Losses | None = None,
        progress: Progress = lambda _: None,
        counted: Counted = lambda _done, _of: None,
        pause: Pause | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Prepares it; nothing is sent yet.

        Args:
            make_client: makes a client; up to four are used at once.
            now: the time, aware, in UTC.
            losses: what to do about a session that is lost on the way.
            progress: is told what is asked for.
            counted: is told how many calls are done, and of how many.
            pause: waits so many seconds before something is asked again; default: real ones.
            retry: for how long a read is tried again; default: `RetryPolicy()`.
        """
        self._make_client = make_client
        self._now = now
        self._losses = losses or Losses()
        self._progress = progress
        self._counted = counted
        self._preflights = Preflights()
        self._retrying = Retrying(retry or RetryPolicy(), pause)
        self._asker = Asker(self._preflights, self._retrying.pause, self._retrying, progress)
        self._accounts: ApiResponse | None = None
        self._missing: dict[str, str] = {}
        self._missing_accounts: dict[str, str] = {}
        self._rounds = 0

    @property
    def missing_accounts(self) -> dict[str, str]:
        """The accounts that alone answer nothing but errors, and with which."""
        return self._missing_accounts

    def snapshot(self, parts: Sequence[Part], selection: Selection, covers: Covers | None = None) -> Document:
        """Returns the snapshot.

        Args:
            parts: what to take, see `calls.plan`.
            selection: of which accounts.
            covers: what else the envelope shall say: parameters, and whether past IBKR's cache.

        Raises:
            ConfigError: the account of the configuration is not among the user's.
            AccountUnavailable: one account alone answers nothing, and `selection.partial` is not set.
            ImplausibleResponse: an answer contradicts the others, however often it is asked for.
            IbkrError: whatever kept one part from being complete; see `ibkr_tools.portal.response_parser`.
        """
        freshness = [Freshness() for _ in parts]
        try:
            with Pool(self._make_client) as pool:
                known, account, chosen = self._choose(pool, parts, selection)
                jobs = [job for part, one in zip(parts, freshness, strict=True) for job in jobs_of(part, chosen, one)]
                for job in jobs:
                    job.group.optional = job.group.name in selection.optional
                gather(
                    jobs,
                    pool,
                    self._ask,
                    is_lost=self._losses.is_lost,
                    recover=lambda error: self._recover(pool, known, error),
                    progress=self._progress,
                    counted=self._counted,
                    give_up=lambda unit, error: self._give_up(
                        pool, unit, error, jobs, known.numbers, selection.partial
                    ),
                    doubtful=lambda: self._doubtful(pool, jobs),
                )
                unasked = self._count_unasked(pool, known, chosen) if not selection.accounts else 0
        finally:
            self._retrying.stop()
        came = {part.name: one for part, one in zip(parts, freshness, strict=True) if part.name not in self._missing}
        there = [job for job in jobs if not job.is_dropped]
        return Document(
            as_of=self._now(),
            account=account,
            covers=msgspec.structs.replace(
                covers or Covers(accounts=(), resources=()),
                accounts=tuple(one for one in chosen if one not in self._missing_accounts),
                resources=tuple(came),
                parts_at={name: one.came_at.isoformat(timespec="seconds") for name, one in came.items() if one.came_at},
                remembered={name: round(one.age_s, 1) for name, one in came.items() if one.age_s},
                unexpected=tuple(line for job in there for line in job.unexpected),
                missing=self._missing,
                missing_accounts=self._missing_accounts,
                short_rows={name: count for name in came if (count := _short_rows(there, name))},
                subaccounts_not_asked=unasked,
            ),
            parts=assemble(jobs),
        )

    def _choose(
        self, pool: Pool, parts: Sequence[Part], selection: Selection
    ) -> tuple[AccountList, str, tuple[str, ...]]:
        """Returns the accounts that the user may view, that of the configuration, and those asked for.

        A list that lacks one of them may not be whole yet: it is asked for again, once.
        """
        names = (selection.account, *selection.accounts)
        known = AccountList(selection.known)
        if not known.numbers or any(part.endpoint == ACCOUNTS for part in parts):
            known = self._view(pool)
        if not known.rows and not _has_all(known, names):
            known = self._view(pool)
        if not _has_all(known, names) or not set(selection.known) <= set(known.numbers):
            known = self._view(pool, again=True)
        if not _has_all(known, names) and masters(known):
            known = self._with_subaccounts(pool, known, names)
        account = number_of(selection.account, known, ConfigError)
        chosen = [number_of(name, known, selection.blame) for name in selection.accounts]
        return known, account, tuple(dict.fromkeys(chosen)) or known.numbers

    def _view(self, pool: Pool, *, allow_cached: bool = True, again: bool = False) -> AccountList:
        """Returns the accounts that the user may view; IBKR wants that asked before any other /portfolio call."""
        if again:
            self._accounts, allow_cached = None, False
        while self._accounts is None:
            self._progress("accounts")
            try:
                with pool.client() as client:
                    self._accounts = self._asker.ask(client, Call(ACCOUNTS), {}, {}, allow_cached=allow_cached)
            except IbkrError as error:
                if not self._losses.is_lost(error):
                    raise
                self._losses.wait(error)
        if not self._accounts.age_s:
            self._preflights.made(ACCOUNTS)
        rows = parse_records(self._accounts.payload, "GET /portfolio/accounts")
        if not rows:
            self._accounts = None
            raise ImplausibleResponse(
                "GET /portfolio/accounts: IBKR lists no account at all for the moment", hint="Try again in a minute."
            )
        return listed(rows)

    def _with_subaccounts(self, pool: Pool, known: AccountList, names: Sequence[str]) -> AccountList:
        """Returns also the sub-accounts of an advisor, as far as names are looked for among them."""
        for page in range(MOST_PAGES):
            rows, _ = self._subaccounts(pool, page)
            before, known = known, known.with_rows(rows)
            if _has_all(known, names) or known == before:
                break
        return known

    def _count_unasked(self, pool: Pool, known: AccountList, chosen: Sequence[str]) -> int:
        """Returns how many sub-accounts an advisor has of which nobody has asked for anything."""
        if not masters(known):
            return 0
        try:
            rows, total = self._subaccounts(pool, 0)
        except IbkrError:
            # What is no part of the snapshot costs none of it.
            return 0
        here = [number for number in account_numbers(rows) if number not in chosen]
        return max(len(here), total - len(chosen))

    def _subaccounts(self, pool: Pool, page: int) -> tuple[list[dict[str, Any]], int]:
        """Returns one page of an advisor's sub-accounts, and how many there are in all, 0 if IBKR does not say."""
        self._progress("subaccounts")
        with pool.client() as client:
            payload = self._asker.ask(client, Call(SUBACCOUNTS2), {}, {"page": str(page)}).payload
        metadata = payload.get("metadata") if isinstance(payload, dict) else None
        total = metadata.get("total") if isinstance(metadata, dict) else None
        rows = payload.get("subaccounts") if isinstance(payload, dict) else payload
        return parse_records(rows, "GET /portfolio/subaccounts2"), total if isinstance(total, int) else 0

    def _recover(self, pool: Pool, known: AccountList, error: IbkrError) -> None:
        """Returns once there is a session of the same accounts again."""
        self._losses.wait(error)
        self._preflights.forget()
        self._accounts = None
        wanted = set(known.numbers)
        if not wanted <= set(self._view(pool, allow_cached=False).numbers):
            # The list of a session that has only just begun may not be whole.
            there = self._view(pool, again=True)
            if masters(there):
                there = self._with_subaccounts(pool, there, known.numbers)
            if not wanted <= set(there.numbers):
                raise SessionUnavailable("the session was lost, and the next one may view other accounts")

    def _give_up(
        self, pool: Pool, unit: Unit, error: IbkrError, jobs: Sequence[Job], accounts: Sequence[str], partial: bool
    ) -> Page | None:
        """Returns the page after all; None if the snapshot goes without it; else raises what kept it from coming."""
        from ibkr_tools.fetch import missing

        call, retries = unit.job.call, bool(self._retrying.policy.seconds)
        asker = self._asker.with_policy(SECOND_CHANCE if retries else NO_RETRY)

        def ask(call: Call) -> ApiResponse:
            with pool.client() as client:
                return asker.ask(client, call, call.names, call.query)

        if unit.job.group.optional and missing.may_go_without(error, call, accounts, ask):
            self._missing[unit.job.group.name] = error.message
            unit.job.group.dropped = True
            return None
        self._progress(f"{call}: looking whether others answer ({error.message})")
        if not missing.is_alone(error, call, accounts, ask):
            raise error
        is_told_to_wait = isinstance(error, UpstreamUnavailable) and error.wait_s is not None
        if retries and is_transient(error) and not is_told_to_wait:
            with suppress(ErrorResponse, UpstreamUnavailable, MalformedResponse), pool.client() as client:
                return self._ask(client, unit, asker)
        if not missing.is_account_dead(error, call, accounts, ask):
            raise error
        dead = str(call.account)
        self._missing_accounts[dead] = error.message
        if not partial or all(job.call.account in {None, *self._missing_accounts} for job in jobs):
            raise missing.unavailable(dead, error)
        for job in jobs:
            job.dropped |= job.call.account == dead
        return None

    def _doubtful(self, pool: Pool, jobs: Sequence[Job]) -> Sequence[Job]:
        """Returns what is to be asked for again because it contradicts other answers; raises if it still does."""

        def ask_witness(name: str, account: str) -> Evidence | None:
            call = account_call(name, account)
            self._progress(str(call))
            with pool.client() as client:
                answer = self._asker.ask(client, call, call.names, call.query)
            return evidence_of(call, answer.payload)

        found = cross_check.find(jobs, ask_witness)
        # Silence about everything is asked for again once; the account may be empty.
        found = [one for one in found if one[1].certain or not self._rounds]
        if not found:
            return ()
        if self._rounds == len(cross_check.PAUSES_S):
            raise cross_check.error_of(found)
        self._progress(f"asking again: {found[0][1].kind} of {found[0][0]} {found[0][1].what}")
        self._retrying.pause(cross_check.PAUSES_S[self._rounds])
        self._rounds += 1
        return cross_check.jobs_of(jobs, found)

    def _ask(self, client: PortalClient, unit: Unit, asker: Asker | None = None) -> Page:
        """Asks for one page of one call, in whichever thread."""
        call = unit.job.call
        names, query = dict(call.names), dict(call.query)
        match call.endpoint.pagination:
            case Pagination.PATH:
                names["page"] = str(unit.number)
            case Pagination.QUERY:
                query["page"] = str(unit.number)
            case Pagination.CURSOR if unit.number:
                last = unit.job.last.identity if unit.job.last else None
                call = Call(READS[f"{call.endpoint.name}_more"])
                query = {"id": str(last[0]) if last else ""}
        if call.endpoint == ACCOUNTS and self._accounts is not None:
            answer = self._accounts
        else:
            answer = (asker or self._asker).ask(client, call, names, query)
        came_at = self._now() - timedelta(seconds=answer.age_s)
        if unit.job.group.is_list:
            page = split(unit.job.call, answer.payload, answer.body, came_at)
        else:
            strange = require_shape(call, answer.payload)
            page = Page(
                [Row(answer.body.strip() or b"null")],
                full=False,
                came_at=came_at,
                unexpected=strange,
                evidence=evidence_of(call, answer.payload),
            )
        return msgspec.structs.replace(page, age_s=answer.age_s, took_s=answer.took_s)


def _has_all(known: AccountList, names: Sequence[str]) -> bool:
    return all(find(name, known) for name in names)


def _short_rows(jobs: Sequence[Job], name: str) -> int:
    return sum(job.short for job in jobs if job.group.name == name)
