"""IBKR's own distribution is known, byte by byte; with a class or a library changed it is refused."""

import re
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway import distribution, distribution_install
from ibkr_tools.gateway.distribution_identity import KNOWN_DIGESTS, MAIN_CLASS, identify
from tests.support.distribution import JAR, RUNTIME
from tests.support.distribution import distribution as real_distribution

pytestmark = pytest.mark.gateway

REAL = next(iter(KNOWN_DIGESTS))


def real(tmp_path: Path) -> Path:
    """A copy of IBKR's own files."""
    return Path(shutil.copytree(real_distribution(), tmp_path / "real"))


def test_ibkrs_own_files_are_known_and_checked_fast(tmp_path: Path, into: Path, accepted: Path) -> None:
    """Nobody has to accept anything; every start may look at every byte."""
    folder = real(tmp_path)
    found = distribution_install.install(folder, into, accepted)
    assert (found.trust, found.build, found.sha256) == ("known", "2023-04-24", REAL)
    assert not accepted.exists()
    took = []
    for _ in range(5):
        began = time.process_time()
        distribution.find(into, accepted)
        took.append(time.process_time() - began)
    assert min(took) < 0.1


def add_class(folder: Path) -> str:
    with zipfile.ZipFile(folder / JAR, "a") as archive:
        archive.writestr("ibgroup/web/core/Stealer.class", b"\xca\xfe")
    return JAR


def change_class(folder: Path) -> str:
    with zipfile.ZipFile(folder / JAR) as archive:
        content = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(folder / JAR, "w") as archive:
        for info, data in content:
            archive.writestr(info, data + b"\0" if info.filename == MAIN_CLASS else data)
    return JAR


def change_runtime(folder: Path) -> str:
    with zipfile.ZipFile(folder / RUNTIME, "a") as archive:
        archive.writestr("io/vertx/Stealer.class", b"\xca\xfe")
    return RUNTIME


def add_runtime(folder: Path) -> str:
    with zipfile.ZipFile(folder / "build/lib/runtime/aaa.JAR", "w") as archive:
        archive.writestr("io/vertx/core/Vertx.class", b"\xca\xfe")
    return "build/lib/runtime/aaa.JAR"


def remove_runtime(folder: Path) -> str:
    (folder / RUNTIME).unlink()
    return RUNTIME


def swap_names(folder: Path) -> str:
    other = folder / "build/lib/runtime/vertx-web-3.5.0.jar"
    (folder / RUNTIME).rename(folder / "x")
    other.rename(folder / RUNTIME)
    (folder / "x").rename(other)
    return RUNTIME


CHANGES: list[Callable[[Path], str]] = [
    add_class,
    change_class,
    change_runtime,
    add_runtime,
    remove_runtime,
    swap_names,
]


@pytest.mark.parametrize("change", CHANGES)
def test_ibkrs_files_with_a_change_are_refused(
    tmp_path: Path, into: Path, accepted: Path, change: Callable[[Path], str]
) -> None:
    """With --accept too: that build is known. Installed and started neither; the file is named."""
    folder = real(tmp_path)
    name = change(folder)
    digest = identify(folder, folder / JAR).digest
    for accept in (None, digest):
        with pytest.raises(DistributionError, match="not IBKR's build 2023-04-24") as caught:
            distribution_install.install(folder, into, accepted, accept=accept)
        assert caught.value.exit_code == 78
        assert name in caught.value.message
        assert not into.exists()
    distribution_install.install(real(tmp_path / "again"), into, accepted)
    change(into)
    with pytest.raises(DistributionError, match=re.escape(name)):
        distribution.find(into, accepted)


def test_what_nothing_runs_may_be_edited(tmp_path: Path, into: Path, accepted: Path) -> None:
    """IBKR's documents tell people to edit root/conf.yaml; Java gets another file from us."""
    distribution_install.install(real(tmp_path), into, accepted)
    (into / "root/conf.yaml").write_text("listenPort: 5001\n")
    assert distribution.find(into, accepted).trust == "known"


def test_another_digest_than_the_one_found_is_refused(tmp_path: Path, into: Path, accepted: Path) -> None:
    """Also for the known build: whoever names a digest means that one."""
    folder = real(tmp_path)
    with pytest.raises(DistributionError, match=f"has the SHA-256 {REAL}, not the one"):
        distribution_install.install(folder, into, accepted, accept="0" * 64)
    assert distribution_install.install(folder, into, accepted, accept=REAL).trust == "known"
