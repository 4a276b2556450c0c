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
from ibkr_tools.fetch.account_list import (
    AccountList,
    account_numbers,
    master_accounts,
    match_accounts,
    parse_account_list,
    resolve_account,
)
from ibkr_tools.fetch.pagination import MAX_PAGES, Page, PageRow, parse_page
from ibkr_tools.fetch.plan import ApiCall, SnapshotPart, account_call
from ibkr_tools.fetch.plausibility import Evidence, parse_evidence
from ibkr_tools.fetch.retry import CONFIRMATION_RETRY, NO_RETRY, Retrier, RetryPolicy, Sleep, is_transient
from ibkr_tools.fetch.retrying_reader import Preflights, RetryingReader, require_shape
from ibkr_tools.fetch.scheduler import Freshness, PageRequest, ResourceJob, assemble, create_jobs, run_jobs
from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata
from ibkr_tools.fetch.worker_pool import WorkerPool
from ibkr_tools.portal.client import ApiResponse, PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS, READS, SUBACCOUNTS2, Pagination
from ibkr_tools.portal.response_parser import parse_records

ProgressCallback = Callable[[str], None]
CountCallback = Callable[[int, int], None]


class SessionLossPolicy:
    """What to do about a session that is lost on the way: give up. `WaitForSession` waits for the next one."""

    def is_session_loss(self, error: IbkrError) -> bool:
        """Says whether it makes sense to wait after this error."""
        del error
        return False

    def wait(self, error: IbkrError) -> None:
        """Returns once there is a session again; raises the error if there is none in time."""
        raise error


class SnapshotSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Of which accounts a snapshot is, and what it may go without.

    `account` is that of the configuration; `accounts` are those asked for, by number or alias, none: all that the user
    may view; `known` are the numbers that this session's `/portfolio/accounts` has given, if somebody asked it already.
    `error_class` is the error of an account in `accounts` that the user may not view. `partial`: go without an account
    that alone answers nothing. `optional` are the parts that may be missing.
    """

    account: str
    accounts: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    error_class: type[IbkrError] = UsageError
    partial: bool = False
    optional: frozenset[str] = frozenset()


class SnapshotFetcher:
    """Fetches one snapshot, with clients that it makes as it needs them."""

    def __init__(
        self,
        make_client: Callable[[], PortalClient],
        *,
        now: Callable[[], datetime],
        session_loss_policy: SessionLossPolicy | None = None,
        progress: ProgressCallback = lambda _: None,
        on_count: CountCallback = lambda _done, _of: None,
        sleep: Sleep | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Creates a fetcher; nothing is sent yet.

        Args:
            make_client: makes a client; up to four are used at once.
            now: the time, aware, in UTC.
            session_loss_policy: what to do about a session that is lost on the way.
            progress: is told what is asked for.
            on_count: is told how many calls are done, and of how many.
            sleep: waits so many seconds before something is asked again; default: real ones.
            retry: for how long a read is tried again; default: `RetryPolicy()`.
        """
        self._make_client = make_client
        self._now = now
        self._session_loss_policy = session_loss_policy or SessionLossPolicy()
        self._progress = progress
        self._on_count = on_count
        self._preflights = Preflights()
        self._retrier = Retrier(retry or RetryPolicy(), sleep)
        self._reader = RetryingReader(self._preflights, self._retrier.sleep, self._retrier, progress)
        self._accounts_response: ApiResponse | None = None
        self._missing: dict[str, str] = {}
        self._missing_accounts: dict[str, str] = {}
        self._recheck_rounds = 0

    @property
    def missing_accounts(self) -> dict[str, str]:
        """The accounts that alone answer nothing but errors, and with which."""
        return self._missing_accounts

    def fetch(
        self, parts: Sequence[SnapshotPart], selection: SnapshotSelection, covers: SnapshotMetadata | None = None
    ) -> SnapshotDocument:
        """Returns the snapshot.

        Args:
            parts: what to take, see `plan.plan_snapshot`.
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
            with WorkerPool(self._make_client) as pool:
                known, account, chosen = self._select_accounts(pool, parts, selection)
                jobs = [
                    job
                    for part, part_freshness in zip(parts, freshness, strict=True)
                    for job in create_jobs(part, chosen, part_freshness)
                ]
                for job in jobs:
                    job.member.optional = job.member.name in selection.optional
                run_jobs(
                    jobs,
                    pool,
                    self._read_page,
                    is_session_loss=self._session_loss_policy.is_session_loss,
                    recover_session=lambda error: self._recover_session(pool, known, error),
                    progress=self._progress,
                    on_count=self._on_count,
                    resolve_failure=lambda request, error: self._resolve_failure(
                        pool, request, error, jobs, known.numbers, selection.partial
                    ),
                    find_contradicting=lambda: self._find_contradicting(pool, jobs),
                )
                unrequested = self._count_unrequested(pool, known, chosen) if not selection.accounts else 0
        finally:
            self._retrier.stop()
        freshness_by_part = {
            part.name: part_freshness
            for part, part_freshness in zip(parts, freshness, strict=True)
            if part.name not in self._missing
        }
        kept_jobs = [job for job in jobs if not job.is_dropped]
        return SnapshotDocument(
            as_of=self._now(),
            account=account,
            covers=msgspec.structs.replace(
                covers or SnapshotMetadata(accounts=(), resources=()),
                accounts=tuple(number for number in chosen if number not in self._missing_accounts),
                resources=tuple(freshness_by_part),
                parts_at={
                    name: part_freshness.received_at.isoformat(timespec="seconds")
                    for name, part_freshness in freshness_by_part.items()
                    if part_freshness.received_at
                },
                remembered={
                    name: round(part_freshness.age_s, 1)
                    for name, part_freshness in freshness_by_part.items()
                    if part_freshness.age_s
                },
                unexpected=tuple(line for job in kept_jobs for line in job.unexpected),
                missing=self._missing,
                missing_accounts=self._missing_accounts,
                short_rows={
                    name: count for name in freshness_by_part if (count := _count_rows_without_details(kept_jobs, name))
                },
                subaccounts_not_asked=unrequested,
            ),
            parts=assemble(jobs),
        )

    def _select_accounts(
        self, pool: WorkerPool, parts: Sequence[SnapshotPart], selection: SnapshotSelection
    ) -> tuple[AccountList, str, tuple[str, ...]]:
        """Returns the accounts that the user may view, that of the configuration, and those asked for.

        A list that lacks one of them may not be whole yet: it is asked for again, once.
        """
        names = (selection.account, *selection.accounts)
        known = AccountList(selection.known)
        if not known.numbers or any(part.endpoint == ACCOUNTS for part in parts):
            known = self._read_accounts(pool)
        if not known.rows and not _has_all_accounts(known, names):
            known = self._read_accounts(pool)
        if not _has_all_accounts(known, names) or not set(selection.known) <= set(known.numbers):
            known = self._read_accounts(pool, reread=True)
        if not _has_all_accounts(known, names) and master_accounts(known):
            known = self._add_subaccounts(pool, known, names)
        account = resolve_account(selection.account, known, ConfigError)
        chosen = [resolve_account(name, known, selection.error_class) for name in selection.accounts]
        return known, account, tuple(dict.fromkeys(chosen)) or known.numbers

    def _read_accounts(self, pool: WorkerPool, *, allow_cached: bool = True, reread: bool = False) -> AccountList:
        """Returns the accounts that the user may view; IBKR wants that asked before any other /portfolio call."""
        if reread:
            self._accounts_response, allow_cached = None, False
        while self._accounts_response is None:
            self._progress("accounts")
            try:
                with pool.lease_client() as client:
                    self._accounts_response = self._reader.read(
                        client, ApiCall(ACCOUNTS), {}, {}, allow_cached=allow_cached
                    )
            except IbkrError as error:
                if not self._session_loss_policy.is_session_loss(error):
                    raise
                self._session_loss_policy.wait(error)
        if not self._accounts_response.age_s:
            self._preflights.record(ACCOUNTS)
        rows = parse_records(self._accounts_response.payload, "GET /portfolio/accounts")
        if not rows:
            self._accounts_response = None
            raise ImplausibleResponse(
                "GET /portfolio/accounts: IBKR lists no account at all for the moment", hint="Try again in a minute."
            )
        return parse_account_list(rows)

    def _add_subaccounts(self, pool: WorkerPool, known: AccountList, names: Sequence[str]) -> AccountList:
        """Returns also the sub-accounts of an advisor, as far as names are looked for among them."""
        for page in range(MAX_PAGES):
            rows, _ = self._read_subaccounts(pool, page)
            before, known = known, known.with_rows(rows)
            if _has_all_accounts(known, names) or known == before:
                break
        return known

    def _count_unrequested(self, pool: WorkerPool, known: AccountList, chosen: Sequence[str]) -> int:
        """Returns how many sub-accounts an advisor has of which nobody has asked for anything."""
        if not master_accounts(known):
            return 0
        try:
            rows, total = self._read_subaccounts(pool, 0)
        except IbkrError:
            # What is no part of the snapshot costs none of it.
            return 0
        unrequested = [number for number in account_numbers(rows) if number not in chosen]
        return max(len(unrequested), total - len(chosen))

    def _read_subaccounts(self, pool: WorkerPool, page: int) -> tuple[list[dict[str, Any]], int]:
        """Returns one page of an advisor's sub-accounts, and how many there are in all, 0 if IBKR does not say."""
        self._progress("subaccounts")
        with pool.lease_client() as client:
            payload = self._reader.read(client, ApiCall(SUBACCOUNTS2), {}, {"page": str(page)}).payload
        metadata = payload.get("metadata") if isinstance(payload, dict) else None
        total = metadata.get("total") if isinstance(metadata, dict) else None
        rows = payload.get("subaccounts") if isinstance(payload, dict) else payload
        return parse_records(rows, "GET /portfolio/subaccounts2"), total if isinstance(total, int) else 0

    def _recover_session(self, pool: WorkerPool, known: AccountList, error: IbkrError) -> None:
        """Returns once there is a session of the same accounts again."""
        self._session_loss_policy.wait(error)
        self._preflights.reset()
        self._accounts_response = None
        wanted = set(known.numbers)
        if not wanted <= set(self._read_accounts(pool, allow_cached=False).numbers):
            # The list of a session that has only just begun may not be whole.
            accounts = self._read_accounts(pool, reread=True)
            if master_accounts(accounts):
                accounts = self._add_subaccounts(pool, accounts, known.numbers)
            if not wanted <= set(accounts.numbers):
                raise SessionUnavailable("the session was lost, and the next one may view other accounts")

    def _resolve_failure(
        self,
        pool: WorkerPool,
        request: PageRequest,
        error: IbkrError,
        jobs: Sequence[ResourceJob],
        accounts: Sequence[str],
        partial: bool,
    ) -> Page | None:
        """Returns the page after all; None if the snapshot goes without it; else raises what kept it from coming."""
        from ibkr_tools.fetch import partial_failure

        call, retries = request.job.call, bool(self._retrier.policy.seconds)
        reader = self._reader.with_policy(CONFIRMATION_RETRY if retries else NO_RETRY)

        def read(call: ApiCall) -> ApiResponse:
            with pool.lease_client() as client:
                return reader.read(client, call, call.path_parameters, call.query)

        if request.job.member.optional and partial_failure.may_omit_part(error, call, accounts, read):
            self._missing[request.job.member.name] = error.message
            request.job.member.dropped = True
            return None
        self._progress(f"{call}: looking whether others answer ({error.message})")
        if not partial_failure.is_isolated_failure(error, call, accounts, read):
            raise error
        is_told_to_wait = isinstance(error, UpstreamUnavailable) and error.wait_s is not None
        if retries and is_transient(error) and not is_told_to_wait:
            with suppress(ErrorResponse, UpstreamUnavailable, MalformedResponse), pool.lease_client() as client:
                return self._read_page(client, request, reader)
        if not partial_failure.is_account_unavailable(error, call, accounts, read):
            raise error
        account = str(call.account)
        self._missing_accounts[account] = error.message
        if not partial or all(job.call.account in {None, *self._missing_accounts} for job in jobs):
            raise partial_failure.account_unavailable(account, error)
        for job in jobs:
            job.dropped |= job.call.account == account
        return None

    def _find_contradicting(self, pool: WorkerPool, jobs: Sequence[ResourceJob]) -> Sequence[ResourceJob]:
        """Returns what is to be asked for again because it contradicts other answers; raises if it still does."""

        def read_corroboration(name: str, account: str) -> Evidence | None:
            call = account_call(name, account)
            self._progress(str(call))
            with pool.lease_client() as client:
                answer = self._reader.read(client, call, call.path_parameters, call.query)
            return parse_evidence(call, answer.payload)

        discrepancies = cross_check.find_discrepancies(jobs, read_corroboration)
        # Silence about everything is asked for again once; the account may be empty.
        discrepancies = [
            discrepancy for discrepancy in discrepancies if discrepancy[1].is_certain or not self._recheck_rounds
        ]
        if not discrepancies:
            return ()
        if self._recheck_rounds == len(cross_check.RECHECK_DELAYS_S):
            raise cross_check.discrepancy_error(discrepancies)
        self._progress(
            f"asking again: {discrepancies[0][1].kind} of {discrepancies[0][0]} {discrepancies[0][1].description}"
        )
        self._retrier.sleep(cross_check.RECHECK_DELAYS_S[self._recheck_rounds])
        self._recheck_rounds += 1
        return cross_check.contradicting_jobs(jobs, discrepancies)

    def _read_page(self, client: PortalClient, request: PageRequest, reader: RetryingReader | None = None) -> Page:
        """Asks for one page of one call, in whichever thread."""
        call = request.job.call
        path_parameters, query = dict(call.path_parameters), dict(call.query)
        match call.endpoint.pagination:
            case Pagination.PATH:
                path_parameters["page"] = str(request.page_number)
            case Pagination.QUERY:
                query["page"] = str(request.page_number)
            case Pagination.CURSOR if request.page_number:
                identity = request.job.last_row.identity if request.job.last_row else None
                call = ApiCall(READS[f"{call.endpoint.name}_more"])
                query = {"id": str(identity[0]) if identity else ""}
        if call.endpoint == ACCOUNTS and self._accounts_response is not None:
            answer = self._accounts_response
        else:
            answer = (reader or self._reader).read(client, call, path_parameters, query)
        received_at = self._now() - timedelta(seconds=answer.age_s)
        if request.job.member.is_list:
            page = parse_page(request.job.call, answer.payload, answer.body, received_at)
        else:
            unexpected = require_shape(call, answer.payload)
            page = Page(
                [PageRow(answer.body.strip() or b"null")],
                has_more=False,
                received_at=received_at,
                unexpected=unexpected,
                evidence=parse_evidence(call, answer.payload),
            )
        return msgspec.structs.replace(page, age_s=answer.age_s, took_s=answer.took_s)


def _has_all_accounts(known: AccountList, names: Sequence[str]) -> bool:
    return all(match_accounts(name, known) for name in names)


def _count_rows_without_details(jobs: Sequence[ResourceJob], name: str) -> int:
    return sum(job.rows_without_details for job in jobs if job.member.name == name)
