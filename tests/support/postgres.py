"""A server of PostgreSQL for tests: Debian's own, in a folder, on a socket and nothing else."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))

needs_postgres = pytest.mark.skipif(
    BINARIES is None or not (BINARIES / "initdb").exists(), reason="needs PostgreSQL (apt install postgresql)"
)


def _user() -> str | None:
    """Returns whose process it is: PostgreSQL refuses to be root's."""
    return "postgres" if os.geteuid() == 0 else None


def _run(program: str, *arguments: str) -> None:
    assert BINARIES is not None
    done = subprocess.run(
        [BINARIES / program, *arguments], user=_user(), cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Lends the URL of an empty database; its role `ibkr` may do everything there, with the password `geheim`.

    `folder` must be one that the server's user may enter, and short: the name of a socket has 107 bytes at most.
    """
    data = folder / "data"
    data.mkdir()
    password = folder / "password"
    password.write_text("geheim\n")
    if (user := _user()) is not None:
        entry = pwd.getpwnam(user)
        for path in (folder, data, password):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    _run("initdb", "-D", str(data), "-U", "ibkr", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    _run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://ibkr@/postgres?host={quote(str(folder), safe='')}"
    finally:
        _run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
