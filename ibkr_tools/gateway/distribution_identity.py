"""Which build of IBKR's gateway a folder holds, and whether it may run: known to us, or accepted by a person.

Everything that Java can be given to run counts, by name and content: the files in `build/` and `dist/`. The folder
`root/` holds examples of configuration, which people edit; Java neither runs nor serves anything of it.
"""

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway.known_builds import BUILDS

MAIN_CLASS = "ibgroup/web/core/clientportal/gw/GatewayStart.class"

_HASHED_DIRECTORIES = ("build", "dist")
_MAX_FILE_BYTES = 200_000_000
_MAX_FILES = 5_000
_MAX_MANIFEST_BYTES = 1 << 16
ACCEPTED_BUILDS_SCHEMA = 1
# So many names make a point.
_MAX_NAMED_FILES = 3


@dataclass(frozen=True, kw_only=True)
class BuildIdentity:
    """What a folder holds: SHA-256 of each file that counts by its name, and one `digest` over all of them.

    `claims` are the days on which the main jar says it was built, the likeliest first.
    """

    files: Mapping[str, str]
    claims: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The digest as `find build dist -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints it."""
        return digest_of(self.files)

    @property
    def build(self) -> str:
        """The day of the build (YYYY-MM-DD), "unknown" if the jar does not say."""
        return self.claims[0] if self.claims else "unknown"


def digest_of(hashes: Mapping[str, str]) -> str:
    """Returns one SHA-256 over names and contents, in hexadecimal."""
    whole = hashlib.sha256()
    for name in sorted(hashes, key=os.fsencode):
        whole.update(hashes[name].encode() + b"  " + os.fsencode(name) + b"\n")
    return whole.hexdigest()


KNOWN_DIGESTS: dict[str, str] = {digest_of(hashes): build for build, hashes in BUILDS.items()}
"""The day of each known build, by its digest."""


def _sha256(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_FILE_BYTES:
            raise DistributionError(f"{path}: not a file of IBKR's gateway")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashed_files(root: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for part in _HASHED_DIRECTORIES:
        for folder, _, names in os.walk(root / part, onerror=fail):
            for name in names:
                yield str(Path(folder, name).relative_to(root))


def _build_dates(jar: Path) -> tuple[str, ...]:
    """Returns the days that the jar names: in its manifest (`When-Built`), of its newest entry, of its main class."""
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(jar) as archive:
            entries = archive.infolist()
            with archive.open("META-INF/MANIFEST.MF") as handle:
                manifest = handle.read(_MAX_MANIFEST_BYTES).decode("utf-8", "replace")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, RuntimeError):
        # NotImplementedError, a compression that Python does not know, is a RuntimeError.
        return ()
    dates = re.findall(r"^When-Built: (\d{4}-\d\d-\d\d)", manifest, re.MULTILINE)
    moments = [max((entry.date_time for entry in entries), default=(1980, 1, 1))]
    moments += [entry.date_time for entry in entries if entry.filename == MAIN_CLASS]
    return tuple(dict.fromkeys([*dates, *("{:04}-{:02}-{:02}".format(*moment) for moment in moments)]))


def identify(root: Path, main_jar: Path) -> BuildIdentity:
    """Returns what is in the folder `root`; reads every byte of it that counts.

    Raises:
        DistributionError: something in it is no file, or has a name that no file of IBKR has.
        OSError: it cannot be read.
    """
    hashes: dict[str, str] = {}
    for name in _hashed_files(root):
        if not name.isprintable() or len(hashes) >= _MAX_FILES:
            raise DistributionError(f"{root}: not IBKR's gateway: {name[:100]!r}")
        hashes[name] = _sha256(root / name)
    main = hashes.get(str(main_jar.relative_to(root)))
    known = tuple(build for build, content in BUILDS.items() if main in content.values())
    return BuildIdentity(files=hashes, claims=known or _build_dates(main_jar))


def _read_accepted(path: Path) -> dict[str, dict[str, str]]:
    """Returns the files of each accepted build by its digest. A list that is damaged accepts nothing."""
    try:
        document = json.loads(files.read_user_file(path))
        builds = document["builds"] if document["schema"] == ACCEPTED_BUILDS_SCHEMA else []
        return {digest_of(build): build for build in builds}
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.EINVAL, errno.EFBIG}:
            return {}
        raise
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}


def _accept(identity: BuildIdentity, path: Path) -> None:
    files.make_directory(path.parent, mode=0o750)
    with files.locked(path.with_suffix(".lock"), mode=0o600):
        builds = [*_read_accepted(path).values(), dict(identity.files)]
        text = json.dumps({"schema": ACCEPTED_BUILDS_SCHEMA, "builds": builds}, indent=1)
        files.write_atomically(path, text.encode() + b"\n", mode=0o640)


def _difference(actual: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Names the files that make the difference."""
    changed = [f"{name} is another file" for name in sorted(actual) if expected.get(name, actual[name]) != actual[name]]
    added = [f"{name} was added" for name in sorted(actual.keys() - expected.keys())]
    removed = [f"{name} is missing" for name in sorted(expected.keys() - actual.keys())]
    differences = changed + added + removed
    more = len(differences) - _MAX_NAMED_FILES
    return ", ".join(differences[:_MAX_NAMED_FILES]) + (f", and {more} more" if more > 0 else "")


def trust_of(identity: BuildIdentity, accepted: Path) -> str:
    """Returns why this build may run, "known" or "accepted"; an empty text if it may not."""
    if identity.digest in KNOWN_DIGESTS:
        return "known"
    if any(build in BUILDS for build in identity.claims):
        return ""
    return "accepted" if identity.digest in _read_accepted(accepted) else ""


def require_trusted(identity: BuildIdentity, accepted: Path, *, source: Path, accept: str | None = None) -> str:
    """Returns "known" or "accepted" if this build may run, and remembers what is accepted now.

    Args:
        identity: what was found.
        accepted: the file with the builds that a person has accepted.
        source: where it was found, for messages.
        accept: the digest that a person accepts; it has to be the one that was found.

    Raises:
        DistributionError: neither known nor accepted, or not what it says it is; a known build with other content
            is never accepted.
        OSError: what is accepted cannot be remembered.
    """
    digest = identity.digest
    if accept is not None and accept.lower() != digest:
        raise DistributionError(f"{source}: has the SHA-256 {digest}, not the one that was accepted")
    if trust := trust_of(identity, accepted):
        return trust
    for build in identity.claims:
        if build in BUILDS:
            raise DistributionError(
                f"{source}: not IBKR's build {build}, though it says so: {_difference(identity.files, BUILDS[build])}",
                hint="Get it from IBKR again. This is never accepted: that build is known, and was changed here.",
            )
    if accept is not None:
        _accept(identity, accepted)
        return "accepted"
    jar = next((name for name in identity.files if name.startswith("dist/")), "")
    changed = next((build for build in _read_accepted(accepted).values() if jar in build), None)
    reason = f"; compared with what was accepted: {_difference(identity.files, changed)}" if changed else ""
    raise DistributionError(
        f"{source}: an unknown build of {identity.build}, SHA-256 {digest}{reason}",
        hint=f"If you are sure that it comes from IBKR: ibkr-tools gateway install FILE --accept {digest}",
    )
