"""A folder with every Python package that an installation needs, so that it needs no network."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.distribution import cache_folder, locked

BUILD_LOCK = "requirements-build.lock"
"""What builds our own package and those that come as source only; beside the other lock files."""

_NEWEST_GLIBC = 36
"""The second number of the newest C library that wheels may ask for: Debian 12's, and a later one runs them too."""


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
                _download(lock, python, Path(scratch) / "venv", folder)
                for former in cache_folder().glob("wheels-????????????????"):
                    shutil.rmtree(former)
                folder.rename(target)
    return target


def wheels_for(lock: Path, python: str, version: str, folder: Path) -> Path:
    """Returns `folder`, filled for another Python than the one that downloads; kept by nobody.

    Args:
        lock: as for `wheelhouse`.
        python: the interpreter that downloads.
        version: of the Python that will install, such as `3.13`.
        folder: where to; it is made.
    """
    machine = os.uname().machine
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_NEWEST_GLIBC, 4, -1)]
    platforms += [f"manylinux{year}_{machine}" for year in (2014, 2010, 1)] + ["any"]
    abis = [f"cp{version.replace('.', '')}", "abi3", "none"]
    # The lock files are whole: nothing beyond them is wanted.
    options = ["--no-deps", "--implementation=cp", f"--python-version={version}"]
    options += [f"--platform={platform}" for platform in platforms] + [f"--abi={abi}" for abi in abis]
    with tempfile.TemporaryDirectory() as scratch:
        _download(lock, python, Path(scratch) / "venv", folder, *options)
    return folder


def _download(lock: Path, python: str, venv: Path, folder: Path, *options: str) -> None:
    """Downloads what both lock files list; asking a source package for its name already runs its build tools."""
    build_lock = lock.with_name(BUILD_LOCK)
    subprocess.run([python, "-I", "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin/python"), "-I", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    hashed = ["--require-hashes", "--no-build-isolation"]
    subprocess.run([*pip, "install", *hashed, "--requirement", str(build_lock)], check=True)
    for listed in (build_lock, lock):
        to = ["--dest", str(folder), "--requirement", str(listed)]
        subprocess.run([*pip, "download", *hashed, *options, *to], check=True)
