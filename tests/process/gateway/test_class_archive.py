"""The class archive is made of one Java and one distribution, and used for these alone, if it is whole.

Java is played by a script; tests/gateway has the real one.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ibkr_tools.gateway import class_archive
from ibkr_tools.gateway.class_archive import ARCHIVE_FILE, RECORD_FILE
from ibkr_tools.gateway.distribution import Distribution
from ibkr_tools.gateway.java import Java

MAKES_ONE = 'for a; do case $a in -XX:SharedArchiveFile=*) printf archive >"${a#*=}" ;; esac; done'


def java(folder: Path, script: str = MAKES_ONE, major: int = 17) -> Java:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Java(program=str(program), version=f"{major}.0.1", major=major)


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    """Two jars."""
    root = tmp_path / "gw"
    for jar in (root / "dist/x.jar", root / "build/lib/runtime/a.jar"):
        jar.parent.mkdir(parents=True)
        jar.write_bytes(b"jar")
    return Distribution(root=root, jar=root / "dist/x.jar", build="b", sha256="0" * 64)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the archive is to be; not there yet."""
    return tmp_path / "class-archive"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def test_made_and_found(tmp_path: Path, installed: Distribution, directory: Path) -> None:
    """Nothing else is left in the directory; what Java alone needs is nobody else's, whatever the umask is."""
    used = java(tmp_path)
    assert class_archive.find(directory, used, installed) is None
    before = os.umask(0o022)
    try:
        assert class_archive.make(directory, used, installed) is None
    finally:
        os.umask(before)
    assert class_archive.find(directory, used, installed) == directory / ARCHIVE_FILE
    assert names(directory) == [ARCHIVE_FILE, RECORD_FILE]
    assert [(directory / name).stat().st_mode & 0o777 for name in names(directory)] == [0o600, 0o600]


def cut(archive: Path) -> None:
    os.truncate(archive, 3)


def empty(archive: Path) -> None:
    os.truncate(archive, 0)


def garbage(archive: Path) -> None:
    archive.write_bytes(b"garbage")


def no_archive(archive: Path) -> None:
    archive.unlink()


def link(archive: Path) -> None:
    archive.rename(archive.with_name("elsewhere"))
    archive.symlink_to("elsewhere")


def folder(archive: Path) -> None:
    archive.unlink()
    archive.mkdir()


def fifo(archive: Path) -> None:
    archive.unlink()
    os.mkfifo(archive)


def no_record(archive: Path) -> None:
    archive.with_name(RECORD_FILE).unlink()


def record_is_garbage(archive: Path) -> None:
    archive.with_name(RECORD_FILE).write_bytes(b"[" * 100_000)


def record_is_a_list(archive: Path) -> None:
    archive.with_name(RECORD_FILE).write_text("[]")


DAMAGES = [cut, empty, garbage, no_archive, link, folder, fifo, no_record, record_is_garbage, record_is_a_list]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_not_used_and_made_anew(
    tmp_path: Path, installed: Distribution, directory: Path, damage: Callable[[Path], None]
) -> None:
    used = java(tmp_path)
    class_archive.make(directory, used, installed)
    damage(directory / ARCHIVE_FILE)
    assert class_archive.find(directory, used, installed) is None
    assert class_archive.make(directory, used, installed) is None
    assert class_archive.find(directory, used, installed) is not None


def test_what_cannot_be_read_is_not_used(tmp_path: Path, installed: Distribution, directory: Path) -> None:
    used = java(tmp_path)
    class_archive.make(directory, used, installed)
    (directory / ARCHIVE_FILE).unlink()
    (directory / ARCHIVE_FILE).mkdir()
    assert class_archive.find(directory, used, installed) is None


def test_of_something_else_it_is_not_used(tmp_path: Path, installed: Distribution, directory: Path) -> None:
    """Another Java, the same one elsewhere, another build, a jar that was touched, a jar more."""
    used = java(tmp_path)
    class_archive.make(directory, used, installed)
    (tmp_path / "other").mkdir()
    elsewhere = shutil.copy(used.program, tmp_path / "other" / "bin")
    for other in (replace(used, version="17.0.2"), replace(used, program=str(elsewhere))):
        assert class_archive.find(directory, other, installed) is None
    assert class_archive.find(directory, used, replace(installed, sha256="1" * 64)) is None
    before = installed.jar.stat().st_mtime_ns
    os.utime(installed.jar, ns=(0, 0))
    assert class_archive.find(directory, used, installed) is None
    os.utime(installed.jar, ns=(before, before))
    assert class_archive.find(directory, used, installed) is not None
    (installed.root / "build/lib/runtime/b.jar").touch()
    assert class_archive.find(directory, used, installed) is None


@pytest.mark.parametrize(
    ("script", "major", "reason"),
    [
        ("exit 0", 12, "Java 12.0.1 makes none; 13 and newer do"),
        ("exit 0", 8, "Java 8.0.1 makes none; 13 and newer do"),
        ("exit 0", 17, "Java made none"),
        ("echo no room >&2; exit 1", 17, "Java ended with exit code 1: no room"),
        ("kill -SEGV $$", 17, "Java was killed by SIGSEGV: "),
    ],
)
def test_none_is_one_reason_and_takes_the_old_one_away(
    tmp_path: Path, installed: Distribution, directory: Path, script: str, major: int, reason: str
) -> None:
    """What was there was made for another Java, or of another build."""
    class_archive.make(directory, java(tmp_path), installed)
    assert class_archive.make(directory, java(tmp_path, script, major), installed) == reason
    assert names(directory) == []


def test_no_java_and_no_room_are_reasons(tmp_path: Path, installed: Distribution, directory: Path) -> None:
    missing = Java(program=str(tmp_path / "none"), version="17", major=17)
    assert class_archive.make(directory, missing, installed) == f"{tmp_path}/none: No such file or directory"
    (tmp_path / "file").touch()
    assert class_archive.make(tmp_path / "file", java(tmp_path), installed) == f"{tmp_path}/file: File exists"


def test_what_was_cut_off_leaves_nothing(tmp_path: Path, installed: Distribution, directory: Path) -> None:
    (directory / ".new-abc").mkdir(parents=True)
    (directory / ".new-abc" / ARCHIVE_FILE).touch()
    assert class_archive.make(directory, java(tmp_path), installed) is None
    assert names(directory) == [ARCHIVE_FILE, RECORD_FILE]


def test_java_reads_the_jars_alone_and_runs_nothing(tmp_path: Path, installed: Distribution, directory: Path) -> None:
    """No class to run, no folder on the class path, the flags that it is used with, nothing of our environment."""
    class_archive.make(
        directory, java(tmp_path, f'printf "%s\\n" "$@" >{tmp_path}/argv; env >{tmp_path}/env'), installed
    )
    argv = (tmp_path / "argv").read_text().splitlines()
    runtime = installed.root / "build/lib/runtime/a.jar"
    assert argv[-2:] == ["-cp", f"{installed.jar}:{runtime}"]
    assert "-Xshare:dump" in argv
    assert "-XX:+UseSerialGC" in argv
    assert "NOTIFY_SOCKET" not in (tmp_path / "env").read_text()
