"""Python and its libraries: new enough, there, and as they were installed."""

import base64
import hashlib
import importlib.metadata
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from ibkr_tools.doctor.finding import Finding, Findings, Private, Text
from ibkr_tools.installation import INSTALL_SERVICES, LAYOUT

_PYTHON, _LIBRARIES = Findings("python"), Findings("libraries")

MIN_PYTHON = (3, 11)
_PACKAGE = "ibkr-tools"


@dataclass(frozen=True, kw_only=True)
class LibraryFacts:
    """The distributions that the program needs: those that are missing, and files that differ from their record."""

    count: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]


def check_python() -> Iterator[Finding]:
    """Judges the interpreter that runs this."""
    version = sys.version_info[:2]
    text = ".".join(map(str, sys.version_info[:3]))
    if version < MIN_PYTHON:
        yield _PYTHON.fault(f"Python {text} is too old, 3.11 is needed", INSTALL_SERVICES)
    else:
        yield _PYTHON.ok(f"Python {text}")


def check_libraries() -> Iterator[Finding]:
    """Judges the libraries that are installed beside the program."""
    yield from judge_libraries(read_libraries(), remedy=_remedy())


def _remedy() -> Text:
    if Path(sys.prefix).is_relative_to(LAYOUT.home):
        return LAYOUT.reinstall
    return Private(f"{shlex.quote(sys.executable)} -m pip install --force-reinstall {_PACKAGE}")


def read_libraries() -> LibraryFacts:
    """Looks at every library that the program requires, directly or not, and hashes its files."""
    found, missing = dict[str, Distribution](), set[str]()
    pending = [_PACKAGE]
    while pending:
        name = pending.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found or key in missing:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except PackageNotFoundError:
            missing.add(key)
            continue
        found[key] = distribution
        pending += [
            match[0]
            for line in distribution.requires or ()
            # What an environment marker or an extra makes optional may be missing.
            if ";" not in line and (match := re.match(r"[A-Za-z0-9._-]+", line))
        ]
    changed = [file for distribution in found.values() for file in _changed_files(distribution)]
    return LibraryFacts(count=len(found), missing=tuple(sorted(missing - {_PACKAGE})), changed=tuple(changed))


def _changed_files(distribution: Distribution) -> Iterator[str]:
    for file in distribution.files or ():
        # Scripts outside are adapted when they are installed, and bytecode is made later.
        if file.hash is None or file.hash.mode != "sha256" or ".." in file.parts:
            continue
        try:
            digest = hashlib.sha256(Path(str(file.locate())).read_bytes()).digest()
        except OSError:
            yield str(file)
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            yield str(file)


def judge_libraries(facts: LibraryFacts, *, remedy: Text) -> Iterator[Finding]:
    """Yields what is missing or changed."""
    if facts.missing:
        yield _LIBRARIES.fault(f"missing: {', '.join(facts.missing)}", remedy)
    if facts.changed:
        more = f" and {len(facts.changed) - 1} more" if len(facts.changed) > 1 else ""
        yield _LIBRARIES.fault(f"{facts.changed[0]}{more}: not what was installed", remedy)
    if not facts.missing and not facts.changed:
        yield _LIBRARIES.ok(f"{facts.count} packages as they were installed")
