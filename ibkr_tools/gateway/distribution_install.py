"""Installing IBKR's distribution from a zip or a folder, which is distrusted until checked, and going back.

The distribution that is replaced is kept beside the new one, under a hidden name, until the next one comes.
"""

import ctypes
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from ibkr_tools import files, privileges
from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway.distribution import (
    DOWNLOAD_HINT,
    Distribution,
    find,
    find_previous,
    main_jar,
    missing_parts,
    previous_directory,
    trusted_distribution,
)
from ibkr_tools.gateway.distribution_identity import MAIN_CLASS, identify, trust_of

if TYPE_CHECKING:
    import zipfile

# What we keep of a distribution; the rest of a folder (our templates, somebody's notes) is not copied.
_COPIED_DIRECTORIES = ("bin", "build", "dist", "doc", "root")

# IBKR's zip has 40 files and 12 MB; these are refusals of attacks, not estimates.
MAX_BYTES = 200_000_000
MAX_ENTRIES = 5_000
MAX_ZIP_BYTES = 100_000_000
_MAX_DIRECTORY_BYTES = 4_000_000
_CHUNK = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Of linux/fs.h."""


class _UnpackLimits:
    """Counts what is really written: what an archive says of itself is not believed."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._bytes = 0
        self._entries = 0

    def entry(self) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise DistributionError(f"{self._source}: more than {MAX_ENTRIES} entries, that is not IBKR's gateway")

    def copy(self, source: IO[bytes], target: Path) -> None:
        with target.open("xb") as out:
            while chunk := source.read(_CHUNK):
                self._bytes += len(chunk)
                if self._bytes > MAX_BYTES:
                    raise DistributionError(
                        f"{self._source}: more than {MAX_BYTES // 1_000_000} MB unpacked, that is not IBKR's gateway"
                    )
                out.write(chunk)
            out.flush()
            os.fchmod(out.fileno(), 0o644)
            os.fsync(out.fileno())


def _safe_name(info: "zipfile.ZipInfo", source: Path) -> PurePosixPath:
    # zipfile cuts a name at NUL and keeps what the archive really says in orig_filename.
    name = info.orig_filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if "\0" in name or "\\" in name or path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise DistributionError(f"{source}: an entry leads outside of it: {name!r}")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DistributionError(f"{source}: an entry is a link or a device: {name!r}")
    if info.flag_bits & 1:
        raise DistributionError(f"{source}: an entry is encrypted: {name!r}")
    return path


def _require_small_directory(source: Path) -> None:
    """Refuses an archive whose table of contents alone would fill the memory, before anything reads it."""
    if not source.is_file():
        raise DistributionError(f"{source}: not a regular file", hint=DOWNLOAD_HINT)
    size = source.stat().st_size
    if size > MAX_ZIP_BYTES:
        raise DistributionError(f"{source}: {size // 1_000_000} MB, that is not IBKR's gateway")
    with source.open("rb") as handle:
        handle.seek(max(0, size - (1 << 16) - 22))
        tail = handle.read()
    # End of central directory: signature, 8 bytes, then the size of the directory. Source: APPNOTE.TXT 4.3.16.
    end = tail.rfind(b"PK\x05\x06")
    if end >= 0 and int.from_bytes(tail[end + 12 : end + 16], "little") > _MAX_DIRECTORY_BYTES:
        raise DistributionError(f"{source}: its table of contents is absurdly large")


def _unzip(source: Path, target: Path) -> None:
    import zipfile
    import zlib

    try:
        _require_small_directory(source)
        budget = _UnpackLimits(source)
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                budget.entry()
                path = target / _safe_name(info, source)
                if info.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as member:
                    budget.copy(member, path)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DistributionError(f"{source}: not a whole zip file ({error})", hint=DOWNLOAD_HINT) from error
    except (FileExistsError, NotADirectoryError) as error:
        name = Path(error.filename).name
        raise DistributionError(f"{source}: holds the same name twice, or as file and folder: {name!r}") from error


def _copy_tree(source: Path, target: Path) -> None:
    budget = _UnpackLimits(source)

    def copy(entries: Iterable[Path], into: Path) -> None:
        for entry in sorted(entries):
            budget.entry()
            mode = entry.lstat().st_mode
            if stat.S_ISDIR(mode):
                (into / entry.name).mkdir()
                copy(entry.iterdir(), into / entry.name)
            elif stat.S_ISREG(mode):
                with entry.open("rb") as handle:
                    budget.copy(handle, into / entry.name)
            else:
                raise DistributionError(f"{entry}: a link or a device, IBKR's gateway has none")

    copy((source / part for part in _COPIED_DIRECTORIES if (source / part).exists()), target)


def _locate(directory: Path) -> Path | None:
    """Returns the folder that holds the parts: `directory` itself or the one folder in it that does."""
    inside = [path for path in directory.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
    candidates = [path for path in (directory, *inside) if (path / "dist").is_dir()]
    return candidates[0] if candidates else None


def _require_intact(root: Path, source: Path) -> None:
    """Raises unless every part is there and every jar reads to its end."""
    import zipfile
    import zlib

    if missing := missing_parts(root):
        raise DistributionError(f"{source}: not IBKR's gateway, it lacks {', '.join(missing)}", hint=DOWNLOAD_HINT)
    for jar in (*(root / "dist").glob("*.jar"), *(root / "build/lib/runtime").glob("*.jar")):
        try:
            with zipfile.ZipFile(jar) as archive:
                if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                    raise DistributionError(f"{source}: {jar.name} is absurdly large when unpacked")
                damaged = archive.testzip()
                names = archive.namelist()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DistributionError(f"{source}: {jar.name} is damaged ({error})", hint=DOWNLOAD_HINT) from error
        if damaged:
            raise DistributionError(f"{source}: {jar.name} is damaged at {damaged}", hint=DOWNLOAD_HINT)
        if jar == main_jar(root) and MAIN_CLASS not in names:
            raise DistributionError(f"{source}: {jar.name} is not IBKR's gateway: no {MAIN_CLASS}", hint=DOWNLOAD_HINT)


def _sync_tree(root: Path) -> None:
    """Brings the tree, which we have just made, to disk; everybody may read it."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
        files.sync_directory(Path(folder))


@contextmanager
def _staging(into: Path) -> Iterator[Path]:
    import shutil
    import tempfile

    files.make_directory(into.parent, mode=0o755)
    with files.locked(into.with_name(f".{into.name}.lock")):
        for leftover in into.parent.glob(f".{into.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        path = Path(tempfile.mkdtemp(prefix=f".{into.name}.new-", dir=into.parent))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two folders in one step (renameat2(2)); says whether the C library and the file system can."""
    try:
        return bool(_libc.renameat2(_AT_FDCWD, bytes(first), _AT_FDCWD, bytes(second), _RENAME_EXCHANGE) == 0)
    except AttributeError:
        return False


def _replace_directory(new: Path, into: Path, *, keep: bool) -> None:
    """Puts `new` in the place of `into`, and that, to `keep` it, in the place of the previous one.

    Where it takes two renames, `find` takes the previous one between them.
    """
    import shutil

    previous = previous_directory(into)
    if not into.is_dir() and (into.exists() or into.is_symlink()):
        raise DistributionError(f"{into}: in the way, and not a folder")
    if not into.is_dir():
        new.rename(into)
    elif _exchange(new, into):
        if keep:
            shutil.rmtree(previous, ignore_errors=True)
            new.rename(previous)
    else:
        shutil.rmtree(previous, ignore_errors=True)
        into.rename(previous)
        try:
            new.rename(into)
        except OSError:
            previous.rename(into)
            raise
        if not keep:
            shutil.rmtree(previous, ignore_errors=True)
    files.sync_directory(into.parent)


def _installed(into: Path, accepted: Path) -> Distribution | None:
    """Returns what is installed in `into` itself, None if there is nothing that may run."""
    if not into.is_dir():
        return None
    try:
        return find(into, accepted)
    except DistributionError:
        return None


def _installable(source: Path) -> Path:
    """Returns what is to be installed: the zip, or the folder that holds the parts."""
    if not source.is_dir():
        try:
            # Since Python 3.14, `exists` says no to what the kernel refuses to look at.
            source.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise DistributionError(f"{source}: not there", hint=DOWNLOAD_HINT) from None
        return source
    if located := _locate(source):
        return located
    zips = sorted(source.glob("*.zip"))
    if len(zips) != 1:
        raise DistributionError(f"{source}: neither IBKR's gateway nor its zip is in there", hint=DOWNLOAD_HINT)
    return zips[0]


def install(source: Path, into: Path, accepted: Path, *, accept: str | None = None) -> Distribution:
    """Installs IBKR's gateway as the folder `into`; whatever goes wrong, the one that was there stays.

    A build that another one replaces is kept, see `rollback`; one that may not run is not, nor is the same build twice.

    Args:
        source: IBKR's zip, a folder with its content (`dist/`, `build/`, `root/`), or a folder with one of these in
            it, such as `clientportal/`.
        into: the folder to make or to replace. A gateway that is running keeps its open files; restart it.
        accepted: the file with the builds that a person has accepted.
        accept: the digest of an unknown build that a person accepts; remembered in that file.

    Raises:
        DistributionError: not there, not a zip, truncated, with names that lead outside, links, absurd sizes, not
            IBKR's gateway, or a build that is neither known nor accepted. No space or no permission are of this class
            too: the reason is in the message.
    """
    try:
        source = _installable(source)
        if source.resolve() == into.resolve():
            _require_intact(source, source)
            return trusted_distribution(source, accepted, source=source, accept=accept)
        with _staging(into) as staging:
            if source.is_dir():
                _copy_tree(source, staging)
            else:
                _unzip(source, staging)
            root = _locate(staging) or staging
            _require_intact(root, source)
            candidate = trusted_distribution(root, accepted, source=source, accept=accept)
            _sync_tree(root)
            present = _installed(into, accepted)
            _replace_directory(root, into, keep=present is not None and present.sha256 != candidate.sha256)
    except OSError as error:
        is_source = isinstance(error, PermissionError) and Path(error.filename or into).is_relative_to(source)
        hint = privileges.read_advice(source) if is_source else None
        raise DistributionError(f"{error.filename or into}: {error.strerror or error}", hint=hint) from error
    return find(into, accepted)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A distribution that could be installed; `trust` is empty for a build that is neither known nor accepted."""

    build: str
    sha256: str
    trust: str


def inspect(source: Path, accepted: Path) -> Candidate:
    """Returns what is in a zip or a folder, without installing it.

    Raises:
        DistributionError: it is not IBKR's gateway, or not whole; see `install`.
    """
    import tempfile

    try:
        source = _installable(source)
        with tempfile.TemporaryDirectory(prefix="ibkr-tools-") as scratch:
            staging = Path(scratch)
            if source.is_dir():
                _copy_tree(source, staging)
            else:
                _unzip(source, staging)
            root = _locate(staging) or staging
            _require_intact(root, source)
            jar = main_jar(root)
            if jar is None:
                raise AssertionError("a part that was just found is missing")
            identity = identify(root, jar)
            return Candidate(build=identity.build, sha256=identity.digest, trust=trust_of(identity, accepted))
    except OSError as error:
        raise DistributionError(f"{error.filename or source}: {error.strerror or error}") from error


def _require_previous(into: Path, accepted: Path) -> Distribution:
    previous = find_previous(into, accepted)
    if previous is None:
        raise DistributionError(
            f"{into}: no earlier gateway is kept here",
            hint="One is kept as soon as another build replaces it: ibkr-tools gateway install FILE.zip",
        )
    return previous


def rollback(into: Path, accepted: Path) -> Distribution:
    """Swaps the distribution in `into` with the one before it: doing it twice changes nothing.

    Raises:
        DistributionError: none is kept, it is not whole or may not run, or it cannot be put there.
    """
    try:
        _require_previous(into, accepted)
        with files.locked(into.with_name(f".{into.name}.lock")):
            previous = _require_previous(into, accepted).root
            _require_intact(previous, previous)
            if not _exchange(previous, into):
                aside = into.with_name(f".{into.name}.new-aside")
                into.rename(aside)
                previous.rename(into)
                aside.rename(previous)
            files.sync_directory(into.parent)
    except OSError as error:
        raise DistributionError(f"{error.filename or into}: {error.strerror or error}") from error
    return find(into, accepted)
