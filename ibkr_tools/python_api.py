"""The Python API: what a script or a notebook gets from `from ibkr_tools import Connection, latest`."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ibkr_tools import privileges
from ibkr_tools.config.loader import load_config
from ibkr_tools.directories import find_directories, require_matching_directories
from ibkr_tools.errors import UsageError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.status import StatusFile, utc_now

if TYPE_CHECKING:
    from ibkr_tools.portal.client import PortalClient

ParameterValue = str | int | float | bool | Sequence[str | int]
"""What a parameter may be; several values go in a list."""

StrPath = str | PathLike[str]


class Connection:
    """A way to IBKR: through the gateway on this machine, in the session that the watchdog keeps.

        with Connection() as ibkr:
            ibkr.fetch("positions")["positions"]

    It has the same client, the same request budget and allow-list as the command line: nothing but listed reads
    can be sent. A connection belongs to one thread.
    """

    def __init__(
        self,
        config: StrPath | None = None,
        *,
        runtime_dir: StrPath | None = None,
        state_dir: StrPath | None = None,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        """Reads the configuration; nothing is sent yet.

        Args:
            config: the configuration; default: where `ibkr-tools` looks.
            runtime_dir: where the status file and the request budget are; default: the same.
            state_dir: where snapshots and the gateway's certificate are; default: the same.
            progress: is told what is asked for, and how long a request waits for its turn.

        Raises:
            ConfigError: the configuration is missing or wrong.
            UsageError: the directories are of another user, or not those of this configuration.
        """
        from ibkr_tools.fetch.client_factory import ClientFactory

        file, runtime, state = (Path(path) if path else None for path in (config, runtime_dir, state_dir))
        self._directories = find_directories(runtime=runtime, state=state)
        require_matching_directories(self._directories, file, runtime=runtime, state=state)
        if (user := privileges.user_to_switch_to(self._directories)) is not None:
            raise UsageError(
                f"root does nothing in the directories of {user.pw_name}",
                hint=f"Run the script as {user.pw_name} (sudo -u {user.pw_name}), or as a member of its group.",
            )
        self._config = load_config(file or self._directories.config_file)
        self._clients = ClientFactory(self._config, self._directories)
        self._client: PortalClient | None = None
        self._on_progress = progress

    @property
    def account(self) -> str:
        """The account of the configuration."""
        return self._config.account

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is open; the session is not ours, and lives on."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def fetch(
        self,
        *resources: str,
        accounts: str | Sequence[str] = (),
        parameters: Mapping[str, ParameterValue] | None = None,
        fresh: bool = False,
        wait_s: float = 0.0,
        retry_s: float | None = None,
        partial: bool | None = None,
        save: bool = False,
    ) -> Snapshot:
        """Returns one snapshot: complete, or an error.

        Args:
            resources: names as `ibkr-tools resources` lists them; none: those of the configuration.
            accounts: only this one, or these, by number or alias; none: those of the configuration.
            parameters: of the resources, named as IBKR names them.
            fresh: take positions past IBKR's cache.
            wait_s: how long to wait for the session, at first and when it is lost on the way, in seconds.
            retry_s: for how long each read is tried again after trouble that passes, in seconds; 0: not at all; None:
                as the command line does.
            partial: go without an account that alone answers nothing; None: as the configuration says.
            save: store it as `latest.json`, with a dated copy, as `ibkr-tools fetch --save` does.

        Raises:
            UsageError: a resource, parameter or account that there is not; nothing was sent for the first two.
            SessionUnavailable: no session, or lost on the way: try again later.
            IbkrError: whatever else kept it from being complete; the classes are in `ibkr_tools.errors`.
        """
        from ibkr_tools.account_ids import require_name
        from ibkr_tools.fetch.fetch_task import FetchTask
        from ibkr_tools.fetch.retry_limits import DEFAULT_RETRY_S

        document = FetchTask(
            self._config,
            self._new_client,
            StatusFile(self._directories.status_file),
            hint=self._directories.session_hint,
            progress=self._progress,
        ).run(
            resources,
            [require_name(account, "accounts:") for account in ([accounts] if isinstance(accounts, str) else accounts)],
            parameters=_format_parameters(parameters),
            fresh=fresh,
            wait_s=wait_s,
            retry_s=DEFAULT_RETRY_S if retry_s is None else retry_s,
            partial=partial,
            save_in=self._directories.snapshots if save else None,
        )
        return Snapshot(document.encode())

    def read(self, path: str, parameters: Mapping[str, ParameterValue] | None = None, *, pages: bool = False) -> Any:
        """Returns IBKR's answer to one listed read, decoded.

        Args:
            path: IBKR's, such as `/portfolio/U1234567/ledger`; whether it is a GET or a POST is in the table.
            parameters: of the query or the body, named as IBKR names them.
            pages: take all pages, as one list.

        Raises:
            UsageError: no listed read has that path, or a parameter does not fit; nothing was sent.
            IbkrError: see `fetch`.
        """
        from ibkr_tools.account_ids import require_numbers
        from ibkr_tools.fetch.api_paths import match_path
        from ibkr_tools.fetch.raw_request import RawRequest
        from ibkr_tools.portal.json_decoder import decode_json

        path_match, more_parameters = match_path(path), _format_parameters(parameters)
        require_numbers({**path_match.path_parameters, **path_match.query, **more_parameters})
        request = RawRequest(path_match, more_parameters, tier=self._config.session.tier, account=self.account)
        if pages:
            request.require_paginated()
            return decode_json(request.read_all_pages(self._new_client, now=utc_now, progress=self._progress))
        if self._client is None:
            self._client = self._new_client()
        self._progress(str(request.call))
        return request.read(self._client).payload

    def _new_client(self) -> "PortalClient":
        return self._clients.create(self._report_wait)

    def _progress(self, step: str) -> None:
        if self._on_progress is not None:
            self._on_progress(step)

    def _report_wait(self, where: str, seconds: float) -> None:
        self._progress(f"{where}: waits {seconds:.0f} s for its turn")


def _format_parameters(parameters: Mapping[str, ParameterValue] | None) -> dict[str, str]:
    """Returns parameters as a person types them, which is what the table of endpoints checks."""

    def text(value: str | float | bool) -> str:
        return ("true" if value else "false") if isinstance(value, bool) else str(value)

    return {
        name: text(value) if isinstance(value, str | int | float) else ",".join(text(item) for item in value)
        for name, value in (parameters or {}).items()
    }


def latest(at: str | None = None, *, state_dir: StrPath | None = None) -> Snapshot:
    """Returns the snapshot that was saved last, without any request.

    Args:
        at: the last copy of a day instead (`2026-11-22`, UTC), or the last one until a time (`2026-11-22T12:00`).
        state_dir: where saved snapshots are; default: where `ibkr-tools` looks.

    Raises:
        SnapshotMissing: nothing has been saved yet.
        UsageError: there is no copy of that date.
        DataError: the file is damaged.
        ConfigError: this user may not read it.
    """
    directory = find_directories(state=Path(state_dir) if state_dir else None).snapshots
    if at is None:
        return Snapshot(snapshot_store.read_latest(directory), str(directory / snapshot_store.LATEST_FILE))
    path = snapshot_store.find_copy(directory, at)
    return Snapshot(snapshot_store.read_snapshot(path), str(path))
