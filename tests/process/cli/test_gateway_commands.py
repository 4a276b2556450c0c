"""`ibkr-tools gateway update` and `rollback`: which build is there, and the way back."""

import re
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.made_distribution import JAR, jar, parts, zipped


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A user without a gateway, whose Java is missing: no class archive is made."""
    installation = Installation(tmp_path / "place", environment)
    installation.configure(5000, gateway={"java": str(tmp_path / "no-java")})
    return installation


def build(tmp_path: Path, day: str) -> str:
    return str(zipped(tmp_path / f"{day}.zip", parts(day.encode()) | {JAR: jar(built=day)}))


def offered(place: Installation, zip_file: str) -> str:
    """Returns the SHA-256 that `update --check` names."""
    done = place.run("gateway", "update", zip_file, "--check")
    assert done.returncode == 1, done.stderr
    (digest,) = re.findall(r"offered .*sha256 ([0-9a-f]{64})", done.stdout)
    assert "unknown to this version of ibkr-tools" in done.stdout
    return str(digest)


def test_update_check_accept_and_rollback(place: Installation, tmp_path: Path) -> None:
    """As somebody does whom IBKR has given two new builds."""
    first, second = build(tmp_path, "2031-01-01"), build(tmp_path, "2031-02-02")
    done = place.run("gateway", "update", first)
    assert done.returncode == 78
    assert "no gateway of IBKR there" in done.stdout
    assert "an unknown build of 2031-01-01" in done.stderr
    for zip_file in (first, second):
        done = place.run("gateway", "update", zip_file, "--accept", offered(place, zip_file))
        assert done.returncode == 0, done.stderr
        assert "sudo systemctl restart ibkr-gateway" in done.stdout
    assert "ibkr-tools gateway rollback" in done.stdout
    told = place.run("gateway", "info").stdout
    assert re.search(r"^build +2031-02-02, accepted$", told, re.MULTILINE)
    assert re.search(
        r"^before +2031-01-01, accepted, sha256 [0-9a-f]{64}: ibkr-tools gateway rollback$", told, re.MULTILINE
    )
    same = place.run("gateway", "update", second, "--check")
    assert same.returncode == 0
    assert "It is the one that is installed." in same.stdout
    assert place.run("gateway", "rollback").returncode == 0
    assert "2031-01-01, accepted" in place.run("gateway", "info").stdout
    assert place.run("gateway", "rollback").returncode == 0
    assert "2031-02-02, accepted" in place.run("gateway", "info").stdout


def test_there_is_nothing_to_go_back_to(place: Installation, tmp_path: Path) -> None:
    done = place.run("gateway", "rollback")
    assert done.returncode == 78
    assert "no earlier gateway is kept" in done.stderr
    (tmp_path / "x.zip").write_bytes(b"PK")
    done = place.run("gateway", "update", str(tmp_path / "x.zip"), "--check")
    assert (done.returncode, "not a whole zip" in done.stderr) == (78, True)
