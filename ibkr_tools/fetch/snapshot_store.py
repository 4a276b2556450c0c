"""Saved snapshots on the disk: `latest.json`, and dated copies that are kept for some days."""

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ibkr_tools import files
from ibkr_tools.errors import AccessDenied, ConfigError, DataError, OutputError, SnapshotMissing, UsageError

if TYPE_CHECKING:
    from ibkr_tools.fetch.snapshot import Snapshot
    from ibkr_tools.fetch.snapshot_document import SnapshotDocument

LATEST_FILE = "latest.json"

_VALUES_DIRECTORY = "values"
"""Where it is kept for ever what accounts were worth: of each day whose copies are gone, a file."""

_FILE_MODE = 0o640
_COPY_NAME_FORMAT = "%Y-%m-%dT%H%M%SZ"
_COPY_NAME = r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z)\.json\.gz"

_COMPRESSION_LEVEL = 6
"""Of zlib: 9 takes far longer for a percent less."""

_GZIP = b"\x1f\x8b"

MAX_SNAPSHOT_BYTES = 500_000_000
"""In bytes, of a snapshot; 3,000 positions are a megabyte."""

_SMALL_SNAPSHOT_BYTES, _MAX_COMPRESSION_RATIO = 16_000_000, 100
"""The limit of a decompressed copy: so many bytes, or so many times its size (usual: 10, of a bomb: 1,000)."""


class DatedCopy(msgspec.Struct, frozen=True):
    """A dated copy and when it was saved (UTC)."""

    path: Path
    saved_at: datetime


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}", hint="What was saved before is intact.") from error


def save(directory: Path, document: "SnapshotDocument", keep_days: int, now: datetime) -> Path:
    """Stores the snapshot as `latest.json` and, packed, under the time of saving; returns the path of the former.

    The copy gets its name first, `latest.json` next, and only then does what is older than `keep_days` go: whenever
    the process is killed or the disk is full, `latest.json` is the last complete snapshot or the new complete one, and
    no copy is lost. Of what goes it is kept what the accounts were worth; see `read_values`. Several processes may save
    at once. The service's group can read what is saved.

    Args:
        directory: made if it is missing.
        document: the snapshot.
        keep_days: how long copies are kept, in days; 0: none is made, and none removed.
        now: aware, in UTC.

    Raises:
        OutputError: it could not be written; what was saved before is intact.
    """
    latest = directory / LATEST_FILE
    with _output_errors(directory):
        files.make_directory(directory, mode=0o750)
    with _output_errors(latest), files.locked(directory / ".lock"):
        files.remove_stale_temporaries(directory)
        _write(
            latest, document, directory / f"{now.astimezone(UTC):{_COPY_NAME_FORMAT}}.json.gz" if keep_days else None
        )
        files.sync_directory(directory)
        if keep_days:
            _remove_older(directory, now - timedelta(days=keep_days))
    return latest


def _write(latest: Path, document: "SnapshotDocument", copy: Path | None) -> None:
    with files.atomic_writer(latest, mode=_FILE_MODE) as file:
        for chunk in document.chunks():
            file.write(chunk)
        file.write(b"\n")
        if copy is not None:
            # Nothing gets its name before there was space for both.
            file.flush()
            _write_copy(document, copy)


def _write_copy(document: "SnapshotDocument", path: Path) -> None:
    import gzip

    with (
        files.atomic_writer(path, mode=_FILE_MODE) as file,
        gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as packed,
    ):
        for chunk in document.chunks():
            packed.write(chunk)
        packed.write(b"\n")


def _remove_older(directory: Path, before: datetime) -> None:
    for copy in list_copies(directory):
        if copy.saved_at < before:
            _keep_values(directory, copy)
            copy.path.unlink(missing_ok=True)


def _keep_values(directory: Path, copy: DatedCopy) -> None:
    """Keeps of a copy that is about to go what the accounts were worth: the history is made of it."""
    from ibkr_tools.fetch.snapshot_extract import choose_extract

    extract = _read_values(copy.path)
    if extract is None:
        return
    path = _values_path(directory, copy.saved_at.date())
    chosen = choose_extract(_read_values(path) if path.exists() else None, extract)
    if chosen is extract:
        files.make_directory(path.parent, mode=0o750)
        files.remove_stale_temporaries(path.parent)
        import gzip

        files.write_atomically(path, gzip.compress(extract.encode(), _COMPRESSION_LEVEL, mtime=0), mode=_FILE_MODE)
        files.sync_directory(path.parent)


def _values_path(directory: Path, day: date) -> Path:
    return directory / _VALUES_DIRECTORY / f"{day}.json.gz"


def _read_values(path: Path) -> "Snapshot | None":
    """Returns what a copy, or what was kept of one, says of values; None: nothing, or it is damaged."""
    from ibkr_tools.fetch.snapshot import Snapshot
    from ibkr_tools.fetch.snapshot_extract import extract_values

    try:
        return extract_values(Snapshot(read_snapshot(path), str(path)))
    except (DataError, UsageError):
        # Nobody has any use for it.
        return None


def read_values(directory: Path) -> Iterator[tuple[date, "Snapshot"]]:
    """Yields, for each day (UTC) of which something is left, the parts of a snapshot that say what accounts were worth.

    The newest day comes first. Of a day the last copy counts, or what was kept of it when it went. What is damaged is
    left out.

    Raises:
        ConfigError: this user may not look.
    """
    from ibkr_tools.fetch.snapshot_extract import choose_extract

    by_day: dict[date, list[Path]] = {day: [path] for day, path in _list_values(directory)}
    for copy in list_copies(directory):
        by_day.setdefault(copy.saved_at.date(), []).append(copy.path)
    for day, paths in sorted(by_day.items(), reverse=True):
        chosen: Snapshot | None = None
        for path in paths:
            if (extract := _read_values(path)) is not None:
                chosen = choose_extract(chosen, extract)
        if chosen is not None:
            yield day, chosen


def _list_values(directory: Path) -> Iterator[tuple[date, Path]]:
    """Yields the days of which values were kept, and their files."""
    try:
        paths = sorted((directory / _VALUES_DIRECTORY).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _access_error(directory / _VALUES_DIRECTORY, error) from error
    for path in paths:
        if match := re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.json\.gz", path.name):
            try:
                yield date.fromisoformat(match[1]), path
            except ValueError:
                # Digits that are no day: somebody else's file.
                continue


def list_copies(directory: Path) -> list[DatedCopy]:
    """Returns the dated copies, oldest first; a file with another kind of name is none.

    Raises:
        ConfigError: this user may not look.
    """
    try:
        names = sorted(path.name for path in directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _access_error(directory, error) from error
    copies = []
    for name in names:
        if match := re.fullmatch(_COPY_NAME, name):
            try:
                saved_at = datetime.fromisoformat(match.group(1))
            except ValueError:
                # Digits that are no date: somebody else's file.
                continue
            copies.append(DatedCopy(directory / name, saved_at))
    return copies


def find_copy(directory: Path, when: str) -> Path:
    """Returns the last copy of a day (`2026-11-22`), or the last one that is not after a time (`2026-11-22T12:00`).

    Times are UTC unless they say otherwise (`2026-11-22T12:00+01:00`); one without seconds is all of its minute, since
    copies are listed by the minute.

    Raises:
        UsageError: that is no date, or there is no such copy; the message says which there are.
        ConfigError: this user may not look.
    """
    try:
        until = datetime.fromisoformat(when)
    except ValueError:
        raise UsageError(
            f"{when!r} is no day such as 2026-11-22, and no time such as 2026-11-22T12:00 (UTC)",
            hint="`ibkr-tools show --list` lists the copies that are saved.",
        ) from None
    until = until.replace(tzinfo=until.tzinfo or UTC)
    copies = list_copies(directory)
    if re.fullmatch(r"[0-9W-]+", when):
        fitting = [copy for copy in copies if copy.saved_at.date() == until.date()]
    elif until.second or until.microsecond:
        fitting = [copy for copy in copies if copy.saved_at <= until]
    else:
        fitting = [copy for copy in copies if copy.saved_at.replace(second=0) <= until]
    if not fitting:
        hint = f"There is none in {directory}; `ibkr-tools fetch --save` saves one."
        if copies:
            hint = f"{describe_copies(copies)} UTC, in {directory}; `ibkr-tools show --list` lists them."
        raise UsageError(f"no saved copy of {when}", hint=hint)
    return fitting[-1].path


def describe_copies(copies: Sequence[DatedCopy]) -> str:
    """Says how many copies there are, and of when (UTC)."""
    first, last = (f"{copies[end].saved_at:%Y-%m-%d %H:%M}" for end in (0, -1))
    noun = "dated copy" if len(copies) == 1 else "dated copies"
    return f"{len(copies)} {noun}, {f'{first} to {last}' if first != last else first}"


def read_latest(directory: Path) -> bytes:
    """Returns what was saved last.

    Raises:
        SnapshotMissing: nothing was.
        DataError, ConfigError: see `read_snapshot`.
    """
    try:
        return read_snapshot(directory / LATEST_FILE)
    except UsageError:
        raise SnapshotMissing(
            f"nothing has been saved in {directory} yet",
            hint="`ibkr-tools fetch --save` saves a snapshot, `systemctl enable --now ibkr-fetch.timer` one a day.",
        ) from None


def read_snapshot(path: Path) -> bytes:
    """Returns a snapshot's JSON, unpacked if it is a copy.

    Raises:
        UsageError: there is no such file, or it is not a regular one.
        ConfigError: this user may not read it.
        DataError: it is packed, and damaged; or larger than any snapshot.
    """
    try:
        data = files.read_user_file(path, MAX_SNAPSHOT_BYTES)
    except PermissionError as error:
        raise _access_error(path, error) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise DataError(f"{path}: {error.strerror}, that is no snapshot") from error
        # What is there, but is no file at all.
        raise UsageError(f"{path}: {error.strerror}") from error
    return _decompress(data, path) if data.startswith(_GZIP) else data


def _decompress(data: bytes, path: Path) -> bytes:
    import zlib

    limit = min(MAX_SNAPSHOT_BYTES, max(_SMALL_SNAPSHOT_BYTES, _MAX_COMPRESSION_RATIO * len(data)))
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise DataError(f"{path}: damaged ({error})") from error
    if len(unpacked) > limit:
        raise DataError(f"{path}: larger than {limit // 1_000_000} MB when unpacked, that is no snapshot")
    if not unpacker.eof:
        raise DataError(f"{path}: damaged (it is cut off)")
    return unpacked


def _access_error(path: Path, error: OSError) -> ConfigError:
    return AccessDenied.to(path) if isinstance(error, PermissionError) else ConfigError(f"{path}: {error.strerror}")
