"""One snapshot of the account: every part asked for, every page, every account; or an error and nothing.

The plan says which calls are read. The scheduler says which page is next, a worker thread reads it, the call's result
takes it, and in the end all results are assembled.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import msgspec

from ibkr_tools.errors import ErrorResponse, IbkrError, MalformedResponse, UpstreamUnavailable
from ibkr_tools.fetch import cross_check
from ibkr_tools.fetch.account_list import SelectedAccounts
from ibkr_tools.fetch.account_reader import AccountReader
from ibkr_tools.fetch.assembly import CallResult, PartResult, assemble, describe
from ibkr_tools.fetch.completeness import require_shape
from ibkr_tools.fetch.pagination import Page, PageRow, parse_page
from ibkr_tools.fetch.plan import ApiCall, SnapshotPart
from ibkr_tools.fetch.plausibility import Evidence, parse_evidence
from ibkr_tools.fetch.reader import Reader
from ibkr_tools.fetch.retry import CONFIRMATION_RETRY, NO_RETRY, RetryPolicy, Sleep, is_transient
from ibkr_tools.fetch.scheduler import PageRequest, Scheduler
from ibkr_tools.fetch.session_wait import SessionLossPolicy
from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata
from ibkr_tools.portal.api_response import ApiResponse
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS
from ibkr_tools.portal.rate_limit_state import REQUESTS_PER_S
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS

MIN_REQUEST_INTERVAL_S = 1.0 / REQUESTS_PER_S
"""While answers are faster than requests are allowed, another connection would only wait for its turn."""

ProgressCallback = Callable[[str], None]
CountCallback = Callable[[int, int], None]


def useful_concurrency(last_duration_s: float) -> int:
    """Returns how many pages it is useful to read at once, by how long the last answer took to come."""
    return min(MAX_CONCURRENT_READS, 1 + math.floor(last_duration_s / MIN_REQUEST_INTERVAL_S))


class SnapshotFetcher:
    """Fetches one snapshot, within a `with` block: `accounts.select`, then `fetch`."""

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
        self._now = now
        self._session_loss_policy = session_loss_policy or SessionLossPolicy()
        self._progress = progress
        self._on_count = on_count
        self._reader = Reader(make_client, retry=retry or RetryPolicy(), sleep=sleep, on_retry=progress)
        self.accounts = AccountReader(self._reader, self._session_loss_policy, progress)
        self._executor = ThreadPoolExecutor(MAX_CONCURRENT_READS, thread_name_prefix="fetch")
        self._last_duration_s = 0.0
        self._missing: dict[str, str] = {}
        self._recheck_rounds = 0
        self.missing_accounts: dict[str, str] = {}
        """The accounts that alone answer nothing but errors, and with which."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    def fetch(
        self,
        parts: Sequence[SnapshotPart],
        accounts: SelectedAccounts,
        covers: SnapshotMetadata | None = None,
    ) -> SnapshotDocument:
        """Returns the snapshot.

        Args:
            parts: what to take, see `plan.plan_snapshot`.
            accounts: of which accounts, see `AccountReader.select`.
            covers: what else the envelope shall say: parameters, and whether past IBKR's cache.

        Raises:
            AccountUnavailable: one account alone answers nothing, and `SnapshotSelection.partial` is not set.
            ImplausibleResponse: an answer contradicts the others, however often it is asked for.
            IbkrError: whatever kept one part from being complete; see `ibkr_tools.portal.response_parser`.
        """
        optional = accounts.selection.optional
        results = [PartResult(part, accounts.chosen, is_optional=part.name in optional) for part in parts]
        scheduler = Scheduler(results)
        in_flight: dict[Future[Page | IbkrError], PageRequest] = {}
        while not self._is_complete(scheduler):
            concurrency = useful_concurrency(self._last_duration_s)
            while len(in_flight) < concurrency and (request := scheduler.next_request()):
                self._progress(str(request))
                if concurrency > 1:
                    future = self._executor.submit(self._read_page, request)
                else:
                    # This thread has nothing else to do, and another one has its price.
                    future = Future()
                    future.set_result(self._read_page(request))
                in_flight[future] = request
            if in_flight:
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    self._complete_request(scheduler, in_flight.pop(future), future.result(), accounts)
            elif scheduler.session_error is not None:
                self._session_loss_policy.wait(scheduler.session_error)
                self.accounts.require_same_accounts(accounts.known)
                scheduler.resume()
        covers = msgspec.structs.replace(
            covers or SnapshotMetadata(accounts=(), resources=()),
            accounts=tuple(number for number in accounts.chosen if number not in self.missing_accounts),
            missing=self._missing,
            missing_accounts=self.missing_accounts,
            subaccounts_not_asked=self.accounts.count_unrequested(accounts),
        )
        return SnapshotDocument(
            as_of=self._now(), account=accounts.account, covers=describe(results, covers), parts=assemble(results)
        )

    def _is_complete(self, scheduler: Scheduler) -> bool:
        """Says whether all has come, and nothing contradicts anything; has read again what does."""
        pending = scheduler.pending
        self._on_count(len(scheduler.results) - len(pending), len(scheduler.results))
        if pending:
            return False
        contradicting = self._find_contradicting(scheduler.results)
        scheduler.restart(contradicting)
        return not contradicting

    def _read_page(self, request: PageRequest, retry: RetryPolicy | None = None) -> Page | IbkrError:
        """Returns one page of one call, or what kept it from coming; in whichever thread."""
        call = request.result.call
        answer = self.accounts.response if call.endpoint == ACCOUNTS else None
        try:
            if answer is None:
                answer = self._reader.read(request.result.page_call(request.page_number), retry=retry)
            return self._parse_page(request, answer)
        except IbkrError as error:
            return error

    def _parse_page(self, request: PageRequest, answer: ApiResponse) -> Page:
        call = request.result.call
        received_at = self._now() - timedelta(seconds=answer.age_s)
        if request.result.part.is_list:
            page = parse_page(call, answer.payload, answer.body, received_at)
        else:
            page = Page(
                [PageRow(answer.body.strip() or b"null")],
                has_more=False,
                received_at=received_at,
                unexpected=require_shape(call, answer.payload),
                evidence=parse_evidence(call, answer.payload),
            )
        return msgspec.structs.replace(page, age_s=answer.age_s, took_s=answer.took_s)

    def _complete_request(
        self, scheduler: Scheduler, request: PageRequest, outcome: Page | IbkrError, accounts: SelectedAccounts
    ) -> None:
        """Takes a page that has come, or does without it; notes a session that is lost.

        Raises:
            IbkrError: what kept the page from coming.
        """
        if request.is_obsolete:
            return
        is_session_loss, is_optional = self._session_loss_policy.is_session_loss, request.result.part.is_optional
        page: Page | None
        if isinstance(outcome, Page):
            page = outcome
        elif is_session_loss(outcome) and not is_optional:
            scheduler.lose_session(outcome)
            return
        else:
            try:
                page = self._page_after_failure(request, outcome, scheduler.results, accounts)
            except IbkrError as last_error:
                # Whether a supplementary part alone gets such an answer had to be found out first.
                if not (is_optional and is_session_loss(last_error)):
                    raise
                scheduler.lose_session(outcome)
                return
        if page is not None:
            self._last_duration_s = page.took_s
            request.result.add_page(request.page_number, page)

    def _page_after_failure(
        self, request: PageRequest, error: IbkrError, results: Sequence[CallResult], accounts: SelectedAccounts
    ) -> Page | None:
        """Returns the page after all; None if the snapshot goes without it; else raises what kept it from coming."""
        from ibkr_tools.fetch import partial_failure

        call, part, numbers = request.result.call, request.result.part, accounts.known.numbers
        retry = CONFIRMATION_RETRY if self._reader.is_retrying else NO_RETRY

        def read(call: ApiCall) -> ApiResponse:
            return self._reader.read(call, retry=retry)

        if part.is_optional and partial_failure.may_omit_part(error, call, numbers, read):
            self._missing[part.name] = error.message
            part.is_dropped = True
            return None
        self._progress(f"{call}: looking whether others answer ({error.message})")
        if not partial_failure.is_isolated_failure(error, call, numbers, read):
            raise error
        is_told_to_wait = isinstance(error, UpstreamUnavailable) and error.wait_s is not None
        if self._reader.is_retrying and is_transient(error) and not is_told_to_wait:
            second = self._read_page(request, retry)
            if isinstance(second, Page):
                return second
            if not isinstance(second, ErrorResponse | UpstreamUnavailable | MalformedResponse):
                raise second
        if not partial_failure.is_account_unavailable(error, call, numbers, read):
            raise error
        account = str(call.account)
        self.missing_accounts[account] = error.message
        is_nothing_left = all(result.call.account in {None, *self.missing_accounts} for result in results)
        if is_nothing_left or not accounts.selection.partial:
            raise partial_failure.account_unavailable(account, error)
        for result in results:
            result.dropped |= result.call.account == account
        return None

    def _find_contradicting(self, results: Sequence[CallResult]) -> Sequence[CallResult]:
        """Returns what is to be asked for again because it contradicts other answers; raises if it still does."""

        def read_corroboration(call: ApiCall) -> Evidence | None:
            self._progress(str(call))
            return parse_evidence(call, self._reader.read(call).payload)

        discrepancies = cross_check.find_discrepancies(results, read_corroboration)
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
        self._reader.sleep(cross_check.RECHECK_DELAYS_S[self._recheck_rounds])
        self._recheck_rounds += 1
        return cross_check.contradicting_results(results, discrepancies)
