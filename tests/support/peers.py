"""Gets other people's clients of the same gateway from PyPI, unmodified, each into an environment of its own."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.distribution import cache_folder, locked

__all__ = ["IBEAM", "IBIND", "peer_name", "peer_python"]

IBEAM = "ibeam==0.5.12"
IBIND = "ibind==0.2.2"


def peer_name(requirement: str) -> str:
    """Returns how a peer is named to people, such as `IBeam 0.5.12`."""
    name, version = requirement.split("==")
    return f"{'IBeam' if name == 'ibeam' else name} {version}"


def peer_python(requirement: str) -> Path:
    """Return the interpreter of an environment in which exactly `requirement` is installed."""
    target = cache_folder() / requirement.replace("==", "-")
    interpreter = target / "bin" / "python"
    with locked(target.name):
        if not (target / "complete").exists():
            # A virtual environment cannot be moved, so a half-made one is made again from the start.
            subprocess.run([sys.executable, "-I", "-m", "venv", "--clear", target], check=True)
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(
                    [interpreter, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
                    check=True,
                    cwd=folder,
                )
            (target / "complete").touch()
    return interpreter
