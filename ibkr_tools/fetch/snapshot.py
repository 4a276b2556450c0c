"""One snapshot of the account: every part asked for, every page, every account; or an error and nothing."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ibkr_tools.errors import ConfigError, DataError, IbkrError, SessionUnavailable, UsageError
from ibkr_tools.fetch.calls import Call, Part
from ibkr_tools.fetch.document import Covers, Document, Spool
from ibkr_tools.fetch.gather import Freshness, Unit, gather, jobs_of
from ibkr_tools.fetch.pages import Page, Row, split
from ibkr_tools.fetch.pool import Pool
from ibkr_tools.fetch.quirks import Asker, Pause, Preflights, require_shape
from ibkr_tools.portal.answers import parse_rows
from ibkr_tools.portal.client import Answer, PortalClient
from ibkr_tools.portal.endpoints import ACCOUNTS, READS, Pages

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


class Fetcher:
    """Fetches snapshots, with clients that it makes as it needs them."""

    def __init__(
        self,
        make_client: Callable[[], PortalClient],
        *,
        now: Callable[[], datetime],
        losses: Losses | None = None,
        progress: Progress = lambda _: None,
        counted: Counted = lambda _done, _of: None,
        pause: Pause | None = None,
    ) -> None:
        """Prepares it; nothing is sent yet.

        Args:
            make_client: makes a client; up to four are used at once.
            now: the time, aware, in UTC.
            losses: what to do about a session that is lost on the way.
            progress: is told what is asked for.
            counted: is told how many calls are done, and of how many.
            pause: waits so many seconds before something is asked again; default: real ones.
        """
        self._make_client = make_client
        self._now = now
        self._losses = losses or Losses()
        self._progress = progress
        self._counted = counted
        self._preflights = Preflights()
        self._asker = Asker(self._preflights, pause or threading.Event().wait)
        self._accounts: Answer | None = None

    def snapshot(
        self,
        account: str,
        parts: Sequence[Part],
        *,
        accounts: Sequence[str] = (),
        known_accounts: Iterable[str] = (),
        covers: Covers | None = None,
        blame: type[IbkrError] = UsageError,
    ) -> Document:
        """Returns the snapshot.

        Args:
            account: the account of the configuration; it must be among the user's.
            parts: what to take, see `calls.plan`.
            accounts: which accounts; empty means all that the user may view.
            known_accounts: what this session's `/portfolio/accounts` has said, if somebody asked it already.
            covers: what else the envelope shall say: parameters, and whether past IBKR's cache.
            blame: what an account of `accounts` is that the user may not view.

        Raises:
            ConfigError: the account of the configuration is not among the user's.
            IbkrError: whatever kept one part from being complete; see `ibkr_tools.portal.answers`.
        """
        spool, freshness = Spool(), [Freshness() for _ in parts]
        with Pool(self._make_client) as pool:
            viewable = tuple(known_accounts)
            if not viewable or any(part.endpoint == ACCOUNTS for part in parts):
                viewable = self._view(pool)
            _require_account(account, viewable, ConfigError)
            chosen = tuple(dict.fromkeys(accounts)) or viewable
            for name in chosen:
                _require_account(name, viewable, blame)
            jobs = [
                job
                for number, part in enumerate(parts)
                for job in jobs_of(part, chosen, freshness[number], first=number == 0)
            ]
            gather(
                jobs,
                pool,
                self._ask,
                spool,
                is_lost=self._losses.is_lost,
                recover=lambda error: self._recover(pool, viewable, error),
                progress=self._progress,
                counted=self._counted,
            )
        came = {part.name: one for part, one in zip(parts, freshness, strict=True)}
        return Document(
            as_of=self._now(),
            account=account,
            covers=msgspec.structs.replace(
                covers or Covers(accounts=(), resources=()),
                accounts=chosen,
                resources=tuple(came),
                parts_at={name: one.came_at.isoformat(timespec="seconds") for name, one in came.items() if one.came_at},
                remembered={name: round(one.age_s, 1) for name, one in came.items() if one.age_s},
                unexpected=tuple(line for job in jobs for line in job.unexpected),
            ),
            parts=spool,
        )

    def _view(self, pool: Pool, *, recall: bool = True) -> tuple[str, ...]:
        """Returns the accounts that the user may view; IBKR wants that asked before any other /portfolio call."""
        while self._accounts is None:
            self._progress("accounts")
            try:
                with pool.client() as client:
                    self._accounts = self._asker.ask(client, Call(ACCOUNTS), {}, {}, recall=recall)
            except IbkrError as error:
                if not self._losses.is_lost(error):
                    raise
                self._losses.wait(error)
        if not self._accounts.age_s:
            self._preflights.made(ACCOUNTS)
        return tuple(account_ids(parse_rows(self._accounts.payload, "GET /portfolio/accounts")))

    def _recover(self, pool: Pool, viewable: tuple[str, ...], error: IbkrError) -> None:
        """Returns once there is a session of the same accounts again."""
        self._losses.wait(error)
        self._preflights.forget()
        self._accounts = None
        if set(self._view(pool, recall=False)) != set(viewable):
            raise SessionUnavailable("the session was lost, and the next one may view other accounts")

    def _ask(self, client: PortalClient, unit: Unit) -> Page:
        """Asks for one page of one call, in whichever thread."""
        call = unit.job.call
        names, query = dict(call.names), dict(call.query)
        match call.endpoint.pages:
            case Pages.PATH:
                names["page"] = str(unit.number)
            case Pages.QUERY:
                query["page"] = str(unit.number)
            case Pages.AFTER if unit.number:
                last = unit.job.last.identity if unit.job.last else None
                call = Call(READS[f"{call.endpoint.name}_more"])
                query = {"id": str(last[0]) if last else ""}
        if call.endpoint == ACCOUNTS and self._accounts is not None:
            answer = self._accounts
        else:
            answer = self._asker.ask(client, call, names, query)
        came_at = self._now() - timedelta(seconds=answer.age_s)
        if unit.job.is_list:
            page = split(unit.job.call, answer.payload, answer.body, came_at)
        else:
            strange = require_shape(call, answer.payload)
            page = Page([Row(answer.body.strip() or b"null")], full=False, came_at=came_at, unexpected=strange)
        return msgspec.structs.replace(page, age_s=answer.age_s, took_s=answer.took_s)


def _require_account(name: str, viewable: Sequence[str], error: type[IbkrError]) -> None:
    if name not in viewable:
        raise error(f"account {name}: not among those this user may view ({', '.join(viewable) or 'none'})")


def account_ids(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yields the account numbers of `/portfolio/accounts`.

    Raises:
        DataError: a row has none, or one that could not be asked for.
    """
    for row in rows:
        name = row.get("id")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_\-]+", name):
            raise DataError("GET /portfolio/accounts: a row without an account number")
        yield name
