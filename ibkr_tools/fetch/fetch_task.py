"""One fetch as a task: waits for the session, fetches a snapshot, saves it, writes the fetch's status section."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from ibkr_tools import session_hint
from ibkr_tools.alert_outbox import ACCOUNTS_TOPIC
from ibkr_tools.config.schema import Config
from ibkr_tools.errors import AccountUnavailable, GatewayUnavailable, IbkrError, SessionUnavailable, UsageError
from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.fetch_scope import plan_fetch
from ibkr_tools.fetch.fetch_status import NO_FINDINGS, MissingData, success_message
from ibkr_tools.fetch.retry import RetryPolicy, Sleep
from ibkr_tools.fetch.retry_limits import DEFAULT_RETRY_S
from ibkr_tools.fetch.session_wait import (
    MAX_SESSION_WAIT_S,
    WAIT_FOR_SESSION_HINT,
    WaitForSession,
    known_session_error,
    serving_session,
    wait_for_session,
)
from ibkr_tools.fetch.snapshot_document import SnapshotDocument
from ibkr_tools.fetch.snapshot_fetcher import CountCallback, ProgressCallback, SnapshotFetcher
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Tier
from ibkr_tools.status import FetchSection, StatusFile, utc_now


class FetchTask:
    """One fetch with its collaborators; `run` may be called once."""

    def __init__(
        self,
        config: Config,
        make_client: Callable[[], PortalClient],
        status: StatusFile,
        *,
        hint: Path | None = None,
        progress: ProgressCallback = lambda _: None,
        on_count: CountCallback = lambda _done, _of: None,
        now: Callable[[], datetime] = utc_now,
        sleep: Sleep | None = None,
    ) -> None:
        """Creates a task; nothing is sent yet.

        Args:
            config: the configuration.
            make_client: makes a client of the gateway; up to four are used at once, and closed in the end.
            status: where the session's state is read, and how the fetch went is said.
            hint: what is left where we may not write the status, if there is no session; see `session_hint`.
            progress: is told what is asked for.
            on_count: is told how many calls are done, and of how many.
            now: the time, aware, in UTC.
            sleep: waits so many seconds before something is asked again; default: real ones.
        """
        self._config = config
        self._make_client = make_client
        self._status = status
        self._hint = hint
        self._progress = progress
        self._on_count = on_count
        self._now = now
        self._sleep = sleep

    def run(
        self,
        resources: Sequence[str] = (),
        accounts: Sequence[str] = (),
        *,
        parameters: Mapping[str, str] | None = None,
        fresh: bool = False,
        wait_s: float = 0.0,
        retry_s: float = DEFAULT_RETRY_S,
        partial: bool | None = None,
        save_in: Path | None = None,
    ) -> SnapshotDocument:
        """Returns one complete snapshot; saved first if `save_in` names a directory.

        Args:
            resources: what to take, all of it; empty: what the configuration says, of which supplementary parts may be
                missing in the end (`covers.missing`).
            accounts: of which accounts, by number or alias; empty: those of the configuration.
            parameters: of the resources, see `plan.plan_snapshot`.
            fresh: take positions past IBKR's cache.
            wait_s: how long to wait for the session, at first and when it is lost on the way, in seconds.
            retry_s: for how long one read is tried again, in seconds; 0: not at all.
            partial: go without an account that alone answers nothing (`covers.missing_accounts`); None: as the
                configuration says.
            save_in: the directory of saved snapshots.

        Raises:
            UsageError: the resources, parameters or accounts are none; nothing was sent for the first two.
            IbkrError: the snapshot could not be completed or saved; the status says so too.
        """
        if not 0 <= wait_s <= MAX_SESSION_WAIT_S:
            raise UsageError(f"cannot wait for {wait_s} s, but for {MAX_SESSION_WAIT_S} at most")
        retry = RetryPolicy.within(retry_s)
        scope = plan_fetch(self._config, resources, accounts, parameters=parameters or {}, fresh=fresh, partial=partial)
        try:
            self._require_session(wait_s, scope.required_tier)
        except IbkrError as error:
            self._write_status("failed", error.message)
            raise
        selection = self._with_known_accounts(scope.selection)
        fetcher = self._make_fetcher(retry, wait_s, scope.required_tier)
        try:
            with fetcher:
                document = fetcher.fetch(scope.parts, fetcher.accounts.select(scope.parts, selection), scope.covers)
            saved = self._save(document, save_in) if save_in else None
        except IbkrError as error:
            if type(error) is SessionUnavailable and not error.hint:
                error.hint = WAIT_FOR_SESSION_HINT
            self._report_failure(error, scope.missing_data, fetcher.missing_accounts)
            raise
        missing_data = scope.missing_data.after_success(document.covers)
        self._write_status("succeeded", success_message(document.covers), saved=saved, missing_data=missing_data)
        return document

    def _with_known_accounts(self, selection: SnapshotSelection) -> SnapshotSelection:
        """Adds the accounts that the watchdog has learnt from the session of now."""
        session = serving_session(self._status, self._now())
        return msgspec.structs.replace(selection, known=session.accounts if session else ())

    def _make_fetcher(self, retry: RetryPolicy, wait_s: float, tier: Tier) -> SnapshotFetcher:
        return SnapshotFetcher(
            self._make_client,
            now=self._now,
            session_loss_policy=WaitForSession(self._status, wait_s, tier, self._report_session_loss, self._progress),
            progress=self._progress,
            on_count=self._on_count,
            sleep=self._sleep,
            retry=retry,
        )

    def _save(self, document: SnapshotDocument, directory: Path) -> Path:
        from ibkr_tools.fetch import snapshot_store

        return snapshot_store.save(directory, document, self._config.fetch.keep_days, self._now())

    def _report_failure(self, error: IbkrError, missing_data: MissingData, missing_accounts: dict[str, str]) -> None:
        """Writes the status of a fetch that failed: the accounts that answer nothing are what it has found out."""
        unavailable = missing_accounts if isinstance(error, AccountUnavailable) else {}
        self._write_status(
            "failed",
            error.message,
            session_lost=type(error) is SessionUnavailable or isinstance(error, GatewayUnavailable),
            missing_data=missing_data.after_failure(unavailable),
            topic=ACCOUNTS_TOPIC if unavailable else None,
        )

    def _require_session(self, wait_s: float, tier: Tier) -> None:
        """Returns if there may be a session that serves; waits for it if told to.

        Raises:
            SessionUnavailable: there is none, as the watchdog says, or none in time.
            GatewayUnavailable: the watchdog says that the gateway is down.
        """
        if wait_s:
            wait_for_session(self._status, wait_s, tier)
        elif error := known_session_error(self._status, self._now(), tier):
            raise error

    def _report_session_loss(self, error: IbkrError) -> datetime:
        return self._write_status("waiting", error.message, session_lost=True)

    def _write_status(
        self,
        state: Literal["waiting", "succeeded", "failed"],
        why: str,
        *,
        saved: Path | None = None,
        session_lost: bool = False,
        missing_data: MissingData | None = None,
        topic: str | None = None,
    ) -> datetime:
        before = self._status.read_section(FetchSection)
        accounts, parts = (missing_data or NO_FINDINGS).merged_with(before)
        now = self._now()
        section = FetchSection(
            updated_at=now,
            state=state,
            why=why,
            session_lost=session_lost,
            missing_accounts=accounts,
            missing=parts,
            topic=topic,
            saved=str(saved) if saved else before.saved if before else None,
            saved_at=now if saved else before.saved_at if before else None,
        )
        try:
            self._status.write(section)
        except OSError:
            # A person without rights in the runtime directory may still fetch; only the status lacks it.
            if session_lost and self._hint is not None:
                session_hint.touch(self._hint)
        return now
