"""The digest of a distribution, as a person sees it and finds it out."""

import re
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.gateway.distribution_identity import identify
from tests.support.distribution import JAR, RUNTIME
from tests.support.installation import Installation
from tests.support.made_distribution import write_jar as jar


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A distribution of a build that nobody knows."""
    folder = tmp_path / "foreign"
    jar(folder / JAR)
    jar(folder / RUNTIME, entry="v")
    (folder / "root").mkdir()
    (folder / "root/conf.yaml").write_text("x")
    return folder


# Known.


def test_the_digest_is_the_one_that_sha256sum_gives(tmp_path: Path) -> None:
    """A person can check what the program says."""
    command = "find build dist -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    folder = tmp_path / "a"
    for name in ("dist/b.jar", "build/lib/runtime/Z.jar", "build/lib/runtime/a b.jar", "build/lib/a.jar"):
        jar(folder / name)
    done = subprocess.run(
        command.replace("xargs", "tr '\\n' '\\0' | xargs -0"), shell=True, cwd=folder, capture_output=True, check=True
    )
    assert identify(folder, folder / "dist/b.jar").digest == done.stdout.decode().split()[0]


def test_the_command_asks_for_the_digest(tmp_path: Path, foreign: Path, place: Installation) -> None:
    """78, one line with day and digest, the command that helps; then it is installed, and `info` says why."""
    done = place.run("gateway", "install", str(foreign))
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    (digest,) = set(re.findall(r"\b[0-9a-f]{64}\b", done.stderr))
    assert f"--accept {digest}" in done.stderr
    assert place.run("gateway", "info").returncode == 78
    assert place.run("gateway", "install", str(foreign), "--accept", "0" * 64).returncode == 78
    assert place.run("gateway", "install", str(foreign), "--accept", digest).returncode == 0
    told = place.run("gateway", "info")
    assert told.returncode == 0
    assert "build    2031-05-06, accepted\n" in told.stdout
    assert f"sha256   {digest}\n" in told.stdout
