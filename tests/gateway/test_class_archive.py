"""The class archive with IBKR's real program on the machine's own Java: used if it fits, in nobody's way if not."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.processes import environment
from bench.stage import Servers, Stage
from ibkr_tools.gateway import class_archive
from ibkr_tools.gateway.class_archive import ARCHIVE_FILE, MIN_JAVA_MAJOR, RECORD_FILE
from ibkr_tools.gateway.java import require_java
from ibkr_tools.simulator import Simulator
from tests.support.distribution import distribution
from tests.support.processes import is_alive
from tests.support.simulation import simulator_options, wait_until
from tests.support.stages import Stages

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.skipif(
        shutil.which("java") is not None and require_java("java").major < MIN_JAVA_MAJOR,
        reason="this Java makes no class archive",
    ),
]


@pytest.fixture
def stage(stages: Stages) -> Stage:
    """A user's directories as `bin/install` leaves them; nothing runs, and there are no servers behind it."""
    with Simulator(simulator_options()) as simulator:
        return stages.make(Servers(simulator.url, simulator.control))


def gateway(stage: Stage, *arguments: str) -> str:
    command = stage.command("gateway", *arguments)
    return subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout


def mapped_by_java(stage: Stage) -> list[str]:
    """Starts the gateway, and returns the archives that its Java has mapped once it answers."""
    log = stage.state / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(stage.command("gateway", "run"), env=environment(), stdout=out, stderr=out)
    try:
        wait_until(lambda: (stage.status().get("gateway") or {}).get("state") == "up" or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        java = stage.status()["gateway"]["java_pid"]
        maps = Path(f"/proc/{java}/maps").read_text().splitlines()
    finally:
        process.terminate()
        process.wait(60)
    assert not is_alive(java)
    return sorted({line.split(maxsplit=5)[5] for line in maps if line.endswith(".jsa")})


def archive_of(stage: Stage) -> Path:
    return stage.directories.class_archive / ARCHIVE_FILE


def test_installed_with_the_gateway_and_used(stage: Stage) -> None:
    """Its classes are IBKR's too, not only Java's own."""
    archive = archive_of(stage)
    assert mapped_by_java(stage) == [str(archive)]
    assert b"ibgroup/web/core/clientportal/gw/GatewayStart" in archive.read_bytes()
    assert gateway(stage, "prepare").endswith(f"archive  {archive}\n")


def test_prepare_makes_what_is_missing_and_leaves_what_is_good(stage: Stage) -> None:
    archive = archive_of(stage)
    before = archive.stat().st_mtime_ns
    gateway(stage, "prepare")
    assert archive.stat().st_mtime_ns == before
    shutil.rmtree(archive.parent)
    assert gateway(stage, "prepare").endswith(f"archive  {archive}\n")
    assert archive.is_file()


def test_another_distribution_has_another_archive(stage: Stage) -> None:
    """The same files, installed anew, are other files to Java."""
    before = (archive_of(stage).with_name(RECORD_FILE)).read_bytes()
    assert "archive  " in gateway(stage, "install", os.fspath(distribution()))
    assert (archive_of(stage).with_name(RECORD_FILE)).read_bytes() != before
    assert mapped_by_java(stage) == [str(archive_of(stage))]


def cut(archive: Path) -> None:
    os.truncate(archive, archive.stat().st_size // 2)


def header_alone(archive: Path) -> None:
    os.truncate(archive, 4096)


def empty(archive: Path) -> None:
    os.truncate(archive, 0)


def garbage(archive: Path) -> None:
    archive.write_bytes(os.urandom(1 << 20))


def of_other_jars(archive: Path) -> None:
    """One that Java has made, of a class path that is not this one."""
    archive.unlink()
    subprocess.run(
        ["java", "-XX:+UseSerialGC", "-Xshare:dump", f"-XX:SharedArchiveFile={archive}", "-Xlog:disable"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def believed(archive: Path) -> None:
    """Has our record say of the archive what it is now, so that only Java itself can refuse it."""
    record = archive.with_name(RECORD_FILE)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    record.write_text(json.dumps({**json.loads(record.read_text()), "sha256": digest}))


def test_a_damaged_archive_is_not_used(stage: Stage) -> None:
    archive = archive_of(stage)
    cut(archive)
    assert str(archive) not in mapped_by_java(stage)
    assert "No class archive" in (stage.state / "log").read_text()


@pytest.mark.parametrize("damage", [cut, header_alone, empty, garbage, of_other_jars])
def test_what_only_java_finds_damaged_stops_no_gateway(stage: Stage, damage: Callable[[Path], None]) -> None:
    """Java refuses most of it; some of it ends Java, which starts again without it."""
    archive = archive_of(stage)
    damage(archive)
    believed(archive)
    mapped_by_java(stage)


def test_no_java_is_a_note(stage: Stage) -> None:
    """The gateway is installed all the same."""
    config = json.loads(stage.config.read_text())
    config["gateway"]["java"] = "no-such-java"
    stage.config.write_text(json.dumps(config))
    told = gateway(stage, "install", os.fspath(distribution()))
    assert told.endswith(
        "archive  none, so a start takes longer: no Java: no-such-java: no program of that name on PATH\n"
    )


def test_the_list_names_classes_that_the_program_has() -> None:
    """Of IBKR's, and of every library; none of them is made at run time."""
    names = class_archive.CLASS_LIST.read_text().splitlines()
    assert names == sorted(set(names))
    assert {"ibgroup/web/core/clientportal/gw/GatewayStart", "io/vertx/core/Vertx"} < set(names)
