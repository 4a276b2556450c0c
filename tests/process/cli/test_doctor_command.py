"""`ibkr-tools doctor` where no services are installed: what it prints, its exit codes, and that it changes nothing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools import __version__
from tests.support.installation import Installation

NAME, ACCOUNT, HOST = "very-own-name", "U7654321", "203.0.113.77"


@pytest.fixture
def configured(place: Installation) -> Installation:
    """A configuration with names of its own, and a password."""
    place.configure(
        5000,
        username=NAME,
        account=ACCOUNT,
        fetch={"accounts": [ACCOUNT, "Aunt Agatha"]},
        history={"database": f"postgresql://{NAME}@{HOST}/portfolio"},
    )
    secret = place.directories.configuration / "password"
    secret.write_text("so-secret-a-word")
    secret.chmod(0o600)
    place.directories.configuration.chmod(0o700)
    return place


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Returns every file with mode, time and content."""
    return {
        str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    }


def checks(place: Installation, *options: str) -> dict[str, Any]:
    done = place.run("doctor", "--json", *options)
    assert done.stderr == ""
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == document["exit_code"]
    return document


def test_it_says_what_to_do_and_changes_nothing(configured: Installation) -> None:
    """The distribution is missing here, and Chromium and Java may be; the rest is well."""
    before = tree(configured.root)
    done = configured.run("doctor")
    assert (done.returncode, done.stderr) == (78, "")
    lines = done.stdout.splitlines()
    assert any(line.startswith("FAULT  gateway ") for line in lines)
    assert "  ibkr-tools gateway install --download" in lines
    assert lines[-1].split(" checks: ")[1].split(" to do")[0].isdecimal()
    assert [line for line in lines if len(line) > 80 and not (line[:2] == "  " and line[2] != " ")] == []
    assert tree(configured.root) == before


def test_all_checks_are_shown_when_asked_for(configured: Installation) -> None:
    shown = configured.run("doctor", "--all").stdout
    names = {entry["check"] for entry in checks(configured)["checks"]}
    assert names >= {"python", "libraries", "clock", "disk", "configuration", "secrets", "gateway", "port", "status"}
    assert all(name in shown for name in names)


def test_a_report_has_nothing_of_the_persons_own(configured: Installation) -> None:
    """No name, no account, no host, no path; but the version, and what is set."""
    for options in (["--report"], ["--report", "--json"]):
        text = configured.run("doctor", *options).stdout
        own = (NAME, ACCOUNT, HOST, "Agatha", "so-secret", str(configured.root), os.uname().nodename)
        assert [word for word in own if word in text] == []
        assert __version__ in text
        assert "history.database" in text


@pytest.mark.parametrize(
    ("damage", "check", "says"),
    [
        (lambda place: place.directories.config_file.unlink(), "configuration", "there is no configuration"),
        (lambda place: place.directories.config_file.write_text("{"), "configuration", "not JSON"),
        (lambda place: place.directories.configuration.chmod(0o777), "files", "others can write"),
        (lambda place: (place.directories.configuration / "password").unlink(), "secrets", "no password"),
        (lambda place: (place.directories.configuration / "password").chmod(0o644), "secrets", "others can read"),
        (
            lambda place: (place.directories.configuration / "config.json~").write_text('{"password": "an-old-one"}'),
            "secrets",
            "config.json~",
        ),
        (
            lambda place: (place.directories.runtime.mkdir(), place.directories.status_file.write_text("{")),
            "status",
            "cannot be used",
        ),
        (lambda place: place.configure(5000, gateway={"port": 5000, "java": "/nonexistent/java"}), "Java", "no Java"),
        (lambda place: place.configure(5000, login={"driver": "/nonexistent/driver"}), "browser", "not there"),
    ],
)
def test_a_fault_is_named_with_a_command(configured: Installation, damage: Any, check: str, says: str) -> None:
    damage(configured)
    found = [entry for entry in checks(configured)["checks"] if entry["verdict"] == "fault"]
    told = [entry for entry in found if entry["check"] == check]
    assert told, found
    assert says in told[0]["message"]
    assert told[0]["remedy"]
    assert "an-old-one" not in json.dumps(found)
    assert "so-secret" not in json.dumps(found)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_each_mistake_of_a_configuration_is_a_line_of_its_own(configured: Installation) -> None:
    """A report for the public has none of them."""
    configured.configure(70000, username=NAME, account=ACCOUNT, fetsch={}, session={"tier": f"{NAME}-tier"})
    found = [entry for entry in checks(configured)["checks"] if entry["check"] == "configuration"]
    begins = ("fetsch: unknown key", "gateway.port: Expected", "session.tier: Expected one of")
    assert len(found) == len(begins)
    for begin, entry in zip(begins, found, strict=True):
        assert entry["verdict"] == "fault"
        assert entry["message"].startswith(f"the configuration is wrong: {begin}")
        assert str(configured.directories.config_file) in entry["remedy"]
        assert "\n" not in entry["message"]
    shown = configured.run("doctor").stdout.splitlines()
    lines = [number for number, line in enumerate(shown) if line.startswith("FAULT  configuration ")]
    assert len(lines) == len(begins)
    assert all(len(shown[number]) <= 80 for number in lines)
    for options in (("--report",), ("--json", "--report")):
        report = configured.run("doctor", *options).stdout
        assert report.count("the configuration is wrong: …") == len(begins)
        assert NAME not in report


def test_a_program_that_hangs_does_not_stop_it(configured: Installation, tmp_path: Path) -> None:
    """Each has ten seconds; this one two times, for Java is asked for its version twice."""
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\nif [ "$1" = -Xshare:auto ]; then echo \'version "17.0.1"\' >&2; else sleep 300; fi\n')
    java.chmod(0o755)
    configured.configure(5000, gateway={"port": 5000, "java": str(java)})
    (told,) = [entry for entry in checks(configured)["checks"] if entry["check"] == "Java"]
    assert told["verdict"] == "fault"
    assert "no answer in time" in told["message"]
