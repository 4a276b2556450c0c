"""A configuration that a person may not read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import unmeasured

MINIMAL: dict[str, Any] = {"username": "demo-reader", "account": "U1234567"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


def written(tmp_path: Path, document: object, *, mode: int = 0o640) -> Path:
    """Writes a configuration: JSON of an object, or a text as it is."""
    path = tmp_path / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    path.chmod(mode)
    return path


@AS_ROOT
@pytest.mark.parametrize("what", ["config.json", "folder"])
def test_an_unreadable_file_is_told(open_path: Path, environment: dict[str, str], what: str) -> None:
    """As another user than root, whom no mode keeps out."""
    written(open_path, {**MINIMAL, "password": "hunter2"}, mode=0o600)
    folder = open_path / "folder"
    folder.mkdir(mode=0o700)
    (folder / "password").write_text("hunter2")
    program = (
        "import os, sys; from pathlib import Path; from ibkr_tools.config import loader, schema, secrets\n"
        "from ibkr_tools.errors import *\n"
        "folder = Path(sys.argv[1]); os.seteuid(65534)\n"
        "named = schema.Config(username='a', account='U1234567',"
        " login=schema.LoginConfig(password_file=str(folder / 'folder/password')))\n"
        "try:\n"
        "    if sys.argv[2] == 'config.json': loader.load_config(folder / 'config.json')\n"
        "    else: secrets.read_password(folder / 'config.json', named, {})\n"
        "except ConfigError as error: print(error.message)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(open_path), what],
        env=unmeasured(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert ("not readable by this user" if what == "config.json" else "cannot be read") in done.stdout
