"""IBKR's distribution of the gateway, as it is installed: which build, and whether it may run.

A start needs no more than this; installing is `ibkr_tools.gateway.distribution_install`.
"""

from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway.distribution_identity import identify, require_trusted

PUBLIC_ZIP = "https://download2.interactivebrokers.com/portal/clientportal.gw.zip"
"""Where IBKR offers it; the file is replaced there without notice and carries no version in its name."""

DOWNLOAD_HINT = f"Get IBKR's gateway from {PUBLIC_ZIP} and install it: ibkr-tools gateway install FILE.zip"


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


def previous_directory(directory: Path) -> Path:
    """Returns where the distribution is kept that was replaced by the one in `directory`."""
    return directory.with_name(f".{directory.name}.old")


def main_jar(root: Path) -> Path | None:
    """Returns IBKR's own program, None if it is not there."""
    jars = sorted((root / "dist").glob("*clientportal.gw*.jar"))
    return jars[0] if len(jars) == 1 and jars[0].is_file() else None


def missing_parts(root: Path) -> list[str]:
    """Returns which parts of a distribution are not there."""
    missing = []
    if main_jar(root) is None:
        missing.append("dist/…clientportal.gw.jar")
    if not any((root / "build/lib/runtime").glob("*.jar")):
        missing.append("build/lib/runtime/*.jar")
    if not (root / "root").is_dir():
        missing.append("root/")
    return missing


def trusted_distribution(root: Path, accepted: Path, *, source: Path, accept: str | None = None) -> Distribution:
    """Returns the distribution in `root`; `source` is where it is from, for messages.

    Raises:
        DistributionError: not whole, or neither known nor accepted.
        OSError: it cannot be read.
    """
    jar = main_jar(root)
    missing = missing_parts(root)
    if missing or jar is None:
        raise DistributionError(f"{source}: not IBKR's gateway, it lacks {', '.join(missing)}", hint=DOWNLOAD_HINT)
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
        root = directory if directory.is_dir() else previous_directory(directory)
        if not root.is_dir():
            raise DistributionError(f"{directory}: no gateway of IBKR there", hint=DOWNLOAD_HINT)
        return trusted_distribution(root, accepted, source=root)
    except OSError as error:
        raise DistributionError(f"{error.filename or directory}: {error.strerror}") from error


def find_previous(directory: Path, accepted: Path) -> Distribution | None:
    """Returns the distribution that was replaced by the one in `directory`; None if none is kept.

    Raises:
        DistributionError: it is not whole, may not run, or cannot be read.
    """
    root = previous_directory(directory)
    try:
        if not directory.is_dir() or not root.is_dir():
            return None
        return trusted_distribution(root, accepted, source=root)
    except OSError as error:
        raise DistributionError(f"{error.filename or root}: {error.strerror}") from error
