"""Only a build that is known or was accepted runs, whatever a zip says of itself; and it stays what it was."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway import distribution, distribution_install
from ibkr_tools.gateway.distribution_identity import KNOWN_DIGESTS, digest_of, identify
from ibkr_tools.gateway.known_builds import BUILDS
from tests.support.distribution import JAR, RUNTIME, SHA256
from tests.support.made_distribution import write_jar as jar

REAL = next(iter(KNOWN_DIGESTS))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A distribution of a build that nobody knows."""
    folder = tmp_path / "foreign"
    jar(folder / JAR)
    jar(folder / RUNTIME, entry="v")
    (folder / "root").mkdir()
    (folder / "root/conf.yaml").write_text("x")
    return folder


def digest_named(error: DistributionError) -> str:
    (digest,) = set(re.findall(r"\b[0-9a-f]{64}\b", f"{error.message} {error.hint}"))
    return str(digest)


def test_the_known_build_has_the_jar_of_the_tests() -> None:
    assert BUILDS["2023-04-24"][JAR] == SHA256
    assert digest_of(BUILDS["2023-04-24"]) == REAL


@pytest.mark.parametrize(
    "claims",
    [{"built": "2023-04-24"}, {"built": "", "on": (2023, 4, 24)}, {"built": "2031-01-01", "on": (2023, 4, 24)}],
)
def test_who_claims_a_known_day_is_never_accepted(
    foreign: Path, into: Path, accepted: Path, claims: dict[str, object]
) -> None:
    """In the manifest, or by the dates of its files."""
    jar(foreign / JAR, **claims)  # type: ignore[arg-type]
    digest = identify(foreign, foreign / JAR).digest
    with pytest.raises(DistributionError, match="not IBKR's build 2023-04-24"):
        distribution_install.install(foreign, into, accepted, accept=digest)
    assert not into.exists()
    assert not accepted.exists()


# Unknown.


def test_an_unknown_build_is_named_and_accepted_once(foreign: Path, into: Path, accepted: Path) -> None:
    """Refused with its day and digest; with the digest it runs, is installed again, and started, unasked."""
    with pytest.raises(DistributionError, match="unknown build of 2031-05-06") as caught:
        distribution_install.install(foreign, into, accepted)
    assert caught.value.exit_code == 78
    digest = digest_named(caught.value)
    assert f"ibkr-tools gateway install FILE --accept {digest}" in (caught.value.hint or "")
    assert not into.exists()
    found = distribution_install.install(foreign, into, accepted, accept=digest.upper())
    assert (found.trust, found.sha256) == ("accepted", digest)
    assert stat.S_IMODE(accepted.stat().st_mode) == 0o640
    shutil.rmtree(into)
    distribution_install.install(foreign, into, accepted)
    assert distribution.find(into, accepted).trust == "accepted"


def test_another_digest_than_the_one_found_is_refused(foreign: Path, into: Path, accepted: Path) -> None:
    """Also for a build that was accepted before: whoever names a digest means that one."""
    digest = identify(foreign, foreign / JAR).digest
    distribution_install.install(foreign, into, accepted, accept=digest)
    for wrong in ("0" * 64, "", digest[:-1], "x"):
        with pytest.raises(DistributionError, match=f"has the SHA-256 {digest}, not the one"):
            distribution_install.install(foreign, into, accepted, accept=wrong)
    assert distribution.find(into, accepted).sha256 == digest


def test_what_was_accepted_stays_what_it_was(foreign: Path, into: Path, accepted: Path) -> None:
    """A file that changes later is named at the next start."""
    distribution_install.install(foreign, into, accepted, accept=identify(foreign, foreign / JAR).digest)
    jar(into / RUNTIME, entry="other")
    with pytest.raises(DistributionError, match=f"unknown build .*{re.escape(RUNTIME)} is another file"):
        distribution.find(into, accepted)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 1}', '{"schema": 9, "builds": []}', '{"schema": 1, "builds": [1]}']
)
def test_a_damaged_list_accepts_nothing(foreign: Path, into: Path, accepted: Path, text: str) -> None:
    digest = identify(foreign, foreign / JAR).digest
    distribution_install.install(foreign, into, accepted, accept=digest)
    accepted.write_text(text)
    with pytest.raises(DistributionError, match=f"unknown build of 2031-05-06, SHA-256 {digest}"):
        distribution.find(into, accepted)
    assert distribution_install.install(foreign, into, accepted, accept=digest).trust == "accepted"
    assert json.loads(accepted.read_bytes())["schema"] == 1


def test_both_accepted_builds_are_remembered(foreign: Path, into: Path, accepted: Path) -> None:
    for content in ("v", "w"):
        jar(foreign / RUNTIME, entry=content)
        distribution_install.install(foreign, into, accepted, accept=identify(foreign, foreign / JAR).digest)
    jar(foreign / RUNTIME, entry="v")
    assert distribution_install.install(foreign, into, accepted).trust == "accepted"


def test_a_fifo_among_the_jars_ends_no_start(foreign: Path, accepted: Path) -> None:
    os.mkfifo(foreign / "build/lib/runtime/x.jar")
    with pytest.raises(DistributionError, match=r"x\.jar: not a file"):
        distribution.find(foreign, accepted)
