"""A folder with every Python package that an installation needs, so that it needs no network."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.distribution import cache_folder, locked

# What builds our own package and those that come as source only.
_BUILDERS = ("hatchling", "setuptools", "wheel")


def wheelhouse(lock: Path, python: str) -> Path:
    """Returns a folder for `pip --no-index --find-links`; filled the first time, by the machine's ordinary pip.

    Args:
        lock: the lock file, with hashes.
        python: the interpreter that will install from the folder.
    """
    version = subprocess.run([python, "-V"], check=True, capture_output=True).stdout
    key = hashlib.sha256(lock.read_bytes() + version).hexdigest()[:16]
    target = cache_folder() / f"wheels-{key}"
    with locked(target.name):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                folder = Path(scratch) / "wheels"
                pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
                download = [*pip, "download", "--dest", str(folder)]
                subprocess.run([*download, "--require-hashes", "--requirement", str(lock)], check=True)
                subprocess.run([*download, *_BUILDERS], check=True)
                for former in cache_folder().glob("wheels-????????????????"):
                    shutil.rmtree(former)
                folder.rename(target)
    return target
