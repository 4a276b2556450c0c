"""The class archive: IBKR's and Java's classes as the JVM has parsed them once, which a start maps into memory.

The JVM calls it class data sharing (CDS). Made from the jars and a list of names without running anything of them, and
trusted like `accepted.json` beside it: no unit may write there. It is used for what it was made of, and if it is whole.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ibkr_tools import files, user_command
from ibkr_tools.gateway.distribution import Distribution
from ibkr_tools.gateway.java import JVM_FLAGS, Java, class_path, java_home
from ibkr_tools.gateway.launch_plan import ARCHIVE_OPTION, java_environment

__all__ = ["ARCHIVE_FILE", "MIN_JAVA_MAJOR", "RECORD_FILE", "find", "make"]

ARCHIVE_FILE = "classes.jsa"
RECORD_FILE = "classes.json"
"""Says what the archive was made of, and its SHA-256."""

MIN_JAVA_MAJOR = 13
"""Older ones know archives of a program's classes only as an experiment, or not at all."""

CLASS_LIST = Path(__file__).with_name("class_list.txt")
_SCHEMA = 1
# A second on a quiet machine.
_TIMEOUT_S = 120.0
# For the JVM that makes it; 64 MB are enough.
_HEAP_MB = 128


def _ingredients(java: Java, distribution: Distribution) -> dict[str, object]:
    """Returns all that an archive depends on. The JVM checks its own build, the class path and the jars' times too."""
    jars = []
    for jar in class_path(distribution):
        entry = jar.stat()
        jars.append([str(jar), entry.st_size, entry.st_mtime_ns])
    return {
        "schema": _SCHEMA,
        "java": java.version,
        "java_home": str(java_home(java.program)),
        "distribution": distribution.sha256,
        "jars": jars,
        "flags": list(JVM_FLAGS),
        "class_list": hashlib.sha256(CLASS_LIST.read_bytes()).hexdigest(),
    }


def _sha256(path: Path) -> str:
    with os.fdopen(files.open_regular(path, os.O_RDONLY), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find(directory: Path, java: Java, distribution: Distribution) -> Path | None:
    """Returns the archive in `directory` if it was made of these and is whole, else None: a start does without it.

    Reads every byte of it: the JVM does not, and is ended by SIGBUS where one was cut off. Observed with Java 17.
    """
    path = directory / ARCHIVE_FILE
    try:
        record = json.loads(files.read_regular(directory / RECORD_FILE))
        if record == {**_ingredients(java, distribution), "sha256": _sha256(path)}:
            return path
    except (OSError, ValueError, RecursionError):
        pass
    return None


def make(directory: Path, java: Java, distribution: Distribution) -> str | None:
    """Makes the archive in `directory`, in the place of what is there; returns why there is none, None if there is.

    IBKR's program does not run meanwhile: the JVM reads its classes, and nothing else happens.
    """
    import tempfile

    try:
        files.make_directory(directory, mode=0o700)
        with files.locked(directory / ".lock"):
            _remove_leftovers(directory)
            if java.major < MIN_JAVA_MAJOR:
                return f"Java {java.version} makes none; {MIN_JAVA_MAJOR} and newer do"
            with tempfile.TemporaryDirectory(prefix=".new-", dir=directory) as scratch:
                return _make(directory, Path(scratch), java, distribution)
    except OSError as error:
        return f"{error.filename or directory}: {error.strerror}"


def _remove_leftovers(directory: Path) -> None:
    """Removes the archive that was there, its record first: half of the two is none."""
    import shutil

    for name in (RECORD_FILE, ARCHIVE_FILE):
        files.remove(directory / name)
    for leftover in directory.glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _make(directory: Path, scratch: Path, java: Java, distribution: Distribution) -> str | None:
    # Before Java reads the jars: what is exchanged meanwhile makes an archive that fits nothing.
    ingredients = _ingredients(java, distribution)
    archive, names = scratch / ARCHIVE_FILE, scratch / CLASS_LIST.name
    names.write_bytes(_java_class_list(java) + CLASS_LIST.read_bytes())
    command = _dump_command(java, class_path(distribution), names=names, archive=archive)
    result = user_command.run_user_command(command, java_environment({}, scratch), _TIMEOUT_S)
    if result.exit_status is None:
        return f"Java took longer than {_TIMEOUT_S:.0f} s"
    if result.exit_status:
        return f"Java {user_command.describe_end(result.exit_status)}: {result.complaint}"
    if not archive.is_file():
        return "Java made none"
    archive.chmod(0o600)
    record: Mapping[str, object] = {**ingredients, "sha256": _sha256(archive)}
    with archive.open("rb") as file:
        os.fsync(file.fileno())
    archive.replace(directory / ARCHIVE_FILE)
    files.write_atomically(directory / RECORD_FILE, json.dumps(record, indent=1).encode() + b"\n", mode=0o600)
    return None


def _java_class_list(java: Java) -> bytes:
    """Returns the list of Java's own classes that every program needs, as this Java ships it; nothing without one."""
    home = java_home(java.program)
    try:
        return (home / "lib/classlist").read_bytes() if home else b""
    except OSError:
        return b""


def _dump_command(java: Java, jars: Sequence[Path], *, names: Path, archive: Path) -> list[str]:
    return [
        java.program,
        *JVM_FLAGS,
        f"-Xmx{_HEAP_MB}m",
        "-Xshare:dump",
        f"-XX:SharedClassListFile={names}",
        f"{ARCHIVE_OPTION}{archive}",
        # A warning for every class that another version of Java has not, or of an old format.
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        "-cp",
        ":".join(map(str, jars)),
    ]
