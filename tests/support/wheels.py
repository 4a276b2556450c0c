"""A folder with every Python package that an installation needs, so that it needs no network."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.distribution import cache_folder, locked

BUILD_LOCK = "requirements-build.lock"
"""What builds our own package and those that come as source only; beside the other lock files."""


def wheelhouse(lock: Path, python: str) -> Path:
    """Returns a folder for `pip --no-index --find-links`; filled the first time, by the machine's ordinary pip.

    Args:
        lock: the lock file, with hashes; requirements-build.lock is beside it.
        python: the interpreter that will install from the folder.
    """
    build_lock = lock.with_name(BUILD_LOCK)
    version = subprocess.run([python, "-I", "-V"], check=True, capture_output=True).stdout
    key = hashlib.sha256(build_lock.read_bytes() + lock.read_bytes() + version).hexdigest()[:16]
    target = cache_folder() / f"wheels-{key}"
    with locked(target.name):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                folder = Path(scratch) / "wheels"
                _download(lock, build_lock, python, Path(scratch) / "venv", folder)
                for former in cache_folder().glob("wheels-????????????????"):
                    shutil.rmtree(former)
                folder.rename(target)
    return target


def _download(lock: Path, build_lock: Path, python: str, venv: Path, folder: Path) -> None:
    """Downloads what both lock files list; asking a source package for its name already runs its build tools."""
    subprocess.run([python, "-I", "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin/python"), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    hashed = ["--require-hashes", "--no-build-isolation"]
    subprocess.run([*pip, "install", *hashed, "--requirement", str(build_lock)], check=True)
    for listed in (build_lock, lock):
        subprocess.run([*pip, "download", *hashed, "--dest", str(folder), "--requirement", str(listed)], check=True)
