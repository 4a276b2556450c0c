"""IBKR's distribution of the gateway: found, or installed from a zip or a folder that is distrusted until checked.

A start needs `find` only; what installing takes is imported where it is used.
"""

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
from ibkr_tools.gateway.distribution_identity import MAIN_CLASS, identify, require_trusted

if TYPE_CHECKING:
    import zipfile

PUBLIC_ZIP = "https://download2.interactivebrokers.com/portal/clientportal.gw.zip"
"""Where IBKR offers it; the file is replaced there without notice and carries no version in its name."""

# What we keep of a distribution; the rest of a folder (our templates, somebody's notes) is not copied.
_COPIED_DIRECTORIES = ("bin", "build", "dist", "doc", "root")

# IBKR's zip has 40 files and 12 MB; these are refusals of attacks, not estimates.
MAX_BYTES = 200_000_000
MAX_ENTRIES = 5_000
MAX_ZIP_BYTES = 100_000_000
_MAX_DIRECTORY_BYTES = 4_000_000
_CHUNK = 1 << 16

_DOWNLOAD_HINT = f"Get IBKR's gateway from {PUBLIC_ZIP} and install it: ibkr-tools gateway install FILE.zip"


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """One unpacked distribution.

    `jar` is IBKR's own program, `build` the day it was built (YYYY-MM-DD, "unknown" if it does not say), `sha256` the
    digest over everything that Java runs, in hexadecimal, and `trust` why it may run: "known" or "accepted".
    """

    root: Path
    jar: Path
    build: str
    sha256: str
    trust: str = ""


def _previous(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.old")


def _main_jar(root: Path) -> Path | None:
    jars = sorted((root / "dist").glob("*clientportal.gw*.jar"))
    return jars[0] if len(jars) == 1 and jars[0].is_file() else None


def _missing(root: Path) -> list[str]:
    missing = []
    if _main_jar(root) is None:
        missing.append("dist/…clientportal.gw.jar")
    if not any((root / "build/lib/runtime").glob("*.jar")):
        missing.append("build/lib/runtime/*.jar")
    if not (root / "root").is_dir():
        missing.append("root/")
    return missing


def _trusted_distribution(root: Path, accepted: Path, *, source: Path, accept: str | None = None) -> Distribution:
    jar = _main_jar(root)
    missing = _missing(root)
    if missing or jar is None:
        raise DistributionError(f"{source}: not IBKR's gateway, it lacks {', '.join(missing)}", hint=_DOWNLOAD_HINT)
    identity = identify(root, jar)
    trust = require_trusted(identity, accepted, source=source, accept=accept)
    return Distribution(root=root, jar=jar, build=identity.build, sha256=identity.digest, trust=trust)


def find(directory: Path, accepted: Path) -> Distribution:
    """Returns the distribution in `directory`; if an installation was cut off half way, the one before it.

    Args:
        directory: where it is.
        accepted: the file with the builds that a person has accepted.

    Raises:
        DistributionError: nothing there, or a part of it is missing, or it is a build that is neither known nor
            accepted; the message names each. No permission to look is of this class too.
    """
    try:
        root = directory
        if not directory.is_dir() and _previous(directory).is_dir():
            root = _previous(directory)
        if not root.is_dir():
            raise DistributionError(f"{directory}: no gateway of IBKR there", hint=_DOWNLOAD_HINT)
        return _trusted_distribution(root, accepted, source=root)
    except OSError as error:
        raise DistributionError(f"{error.filename or directory}: {error.strerror}") from error


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
        raise DistributionError(f"{source}: not a regular file", hint=_DOWNLOAD_HINT)
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
        raise DistributionError(f"{source}: not a whole zip file ({error})", hint=_DOWNLOAD_HINT) from error
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

    if missing := _missing(root):
        raise DistributionError(f"{source}: not IBKR's gateway, it lacks {', '.join(missing)}", hint=_DOWNLOAD_HINT)
    for jar in (*(root / "dist").glob("*.jar"), *(root / "build/lib/runtime").glob("*.jar")):
        try:
            with zipfile.ZipFile(jar) as archive:
                if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                    raise DistributionError(f"{source}: {jar.name} is absurdly large when unpacked")
                damaged = archive.testzip()
                names = archive.namelist()
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise DistributionError(f"{source}: {jar.name} is damaged ({error})", hint=_DOWNLOAD_HINT) from error
        if damaged:
            raise DistributionError(f"{source}: {jar.name} is damaged at {damaged}", hint=_DOWNLOAD_HINT)
        if jar == _main_jar(root) and MAIN_CLASS not in names:
            raise DistributionError(f"{source}: {jar.name} is not IBKR's gateway: no {MAIN_CLASS}", hint=_DOWNLOAD_HINT)


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


def _replace_directory(new: Path, into: Path) -> None:
    """Puts `new` in the place of `into`. Between the two renames `find` takes the previous one."""
    import shutil

    old = _previous(into)
    if into.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        into.rename(old)
    elif into.exists() or into.is_symlink():
        raise DistributionError(f"{into}: in the way, and not a folder")
    try:
        new.rename(into)
    except OSError:
        if old.is_dir() and not into.exists():
            old.rename(into)
        raise
    files.sync_directory(into.parent)
    shutil.rmtree(old, ignore_errors=True)


def _installable(source: Path) -> Path:
    """Returns what is to be installed: the zip, or the folder that holds the parts."""
    if not source.is_dir():
        try:
            # Since Python 3.14, `exists` says no to what the kernel refuses to look at.
            source.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise DistributionError(f"{source}: not there", hint=_DOWNLOAD_HINT) from None
        return source
    if located := _locate(source):
        return located
    zips = sorted(source.glob("*.zip"))
    if len(zips) != 1:
        raise DistributionError(f"{source}: neither IBKR's gateway nor its zip is in there", hint=_DOWNLOAD_HINT)
    return zips[0]


def install(source: Path, into: Path, accepted: Path, *, accept: str | None = None) -> Distribution:
    """Installs IBKR's gateway as the folder `into`; whatever goes wrong, the one that was there stays.

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
            return _trusted_distribution(source, accepted, source=source, accept=accept)
        with _staging(into) as staging:
            if source.is_dir():
                _copy_tree(source, staging)
            else:
                _unzip(source, staging)
            root = _locate(staging) or staging
            _require_intact(root, source)
            _trusted_distribution(root, accepted, source=source, accept=accept)
            _sync_tree(root)
            _replace_directory(root, into)
    except OSError as error:
        is_source = isinstance(error, PermissionError) and Path(error.filename or into).is_relative_to(source)
        hint = privileges.read_advice(source) if is_source else None
        raise DistributionError(f"{error.filename or into}: {error.strerror or error}", hint=hint) from error
    return find(into, accepted)


def download(url: str, to: Path, *, deadline_s: float = 600, max_bytes: int = MAX_ZIP_BYTES) -> None:
    """Fetches IBKR's zip to the file `to`, whole or not at all.

    Raises:
        DistributionError: not reachable, refused, too slow, too large, cut off, or not writable here.
    """
    import tempfile
    import time

    import requests

    from ibkr_tools.deadline_adapter import DeadlineAdapter

    by_hand = f"Fetch {url} with a browser and give the file: ibkr-tools gateway install FILE.zip"
    give_up_at = time.monotonic() + deadline_s
    received = 0
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter(give_up_at))
    try:
        with (
            session,
            session.get(url, stream=True, headers={"Accept-Encoding": "identity"}) as response,
            tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}.") as temporary,
        ):
            response.raise_for_status()
            if url.startswith("https:") and not response.url.startswith("https:"):
                raise DistributionError(f"{url}: leads to an address without TLS", hint=by_hand)
            for chunk in response.iter_content(_CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise DistributionError(f"{url}: more than {max_bytes // 1_000_000} MB", hint=by_hand)
                temporary.write(chunk)
            announced = response.headers.get("Content-Length", "")
            if announced.isdigit() and int(announced) != received:
                raise DistributionError(f"{url}: cut off after {received} of {announced} bytes", hint=by_hand)
            temporary.flush()
            temporary.seek(0)
            files.write_atomically(to, temporary.read(), mode=0o644)
    except requests.HTTPError as error:
        raise DistributionError(f"{url}: HTTP {error.response.status_code}", hint=by_hand) from error
    except requests.RequestException as error:
        if time.monotonic() >= give_up_at:
            raise DistributionError(f"{url}: not complete after {deadline_s:.0f} s", hint=by_hand) from error
        raise DistributionError(f"{url}: not reachable ({type(error).__name__})", hint=by_hand) from error
    except OSError as error:
        raise DistributionError(f"{to}: {error.strerror}") from error
