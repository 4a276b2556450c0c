"""Files that a person names: whatever it is instead, a command ends at once, with one line, and fills no memory."""

import json
import os
import socket
import subprocess
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ibkr_tools import files
from tests.support.installation import Installation
from tests.support.snapshots import save_simulated

PROMPTLY_S = 120.0
"""Against what never ends, not against a busy machine."""

MODEST_KB = 200_000
"""The most that a command may need of memory; `show` needs 40 MB."""


def fifo(path: Path) -> str:
    os.mkfifo(path)
    return "not a regular file"


def device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return "not a regular file"


def bound(path: Path) -> str:
    """A socket; its path may be too long for the kernel, its name is not."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)
    return "not a regular file"


def folder(path: Path) -> str:
    path.mkdir()
    return "directory"


def huge(path: Path) -> str:
    with path.open("wb") as file:
        file.truncate(1 << 40)
    path.chmod(0o600)
    return "MB"


KINDS = (fifo, device, bound, folder, huge)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_regular_file_of_a_sensible_size_is_read(tmp_path: Path, kind: Callable[[Path], str]) -> None:
    said = kind(tmp_path / "odd")
    for read in (files.read_user_file, files.require_regular):
        with pytest.raises(OSError, match=f"(?i){said}") as caught:
            read(tmp_path / "odd")
        assert caught.value.filename == str(tmp_path / "odd")


def test_what_is_read_is_all_of_it(tmp_path: Path) -> None:
    """To the byte, through a link, and where the size is not told before (a file of /proc)."""
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "link").symlink_to("file")
    assert files.read_user_file(tmp_path / "link", len(data)) == data
    with pytest.raises(OSError, match="larger than 2 MB"):
        files.read_user_file(tmp_path / "link", len(data) - 1)
    assert files.read_user_file(Path("/proc/self/status")).startswith(b"Name:")
    with pytest.raises(OSError, match="larger than"):
        files.read_user_file(Path("/proc/self/status"), 10)
    with pytest.raises(FileNotFoundError):
        files.read_user_file(tmp_path / "none")


def run(place: Installation, *arguments: str) -> tuple[int, str, str]:
    """Runs a command; returns its exit code and what it printed. It ends promptly, and needs little memory."""
    begun = time.monotonic()
    with subprocess.Popen(
        place.command(*arguments), env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=PROMPTLY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert time.monotonic() - begun < PROMPTLY_S
    return process.returncode, out, err


def said(err: str) -> str:
    """Returns the one line that says what is wrong; a second one may say what to do."""
    first, *more = err.splitlines()
    # The gateway's parent writes log lines.
    assert first.startswith("error: ") or " ERROR " in first
    assert len(more) <= 1
    assert all(line.startswith("hint: ") for line in more)
    return first


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--config", "ODD", "config", "check"], 78),
        (["--config", "ODD", "fetch"], 78),
        (["--config", "ODD", "gateway", "run"], 78),
        (["--config", "ODD", "watchdog"], 78),
        (["show", "--file", "ODD"], 2),
        (["show", "--from-file", "ODD"], 2),
        (["gateway", "install", "ODD"], 78),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_every_command_ends_at_once(
    place: Installation, tmp_path: Path, kind: Callable[[Path], str], arguments: list[str], code: int
) -> None:
    odd = tmp_path / "odd.json"
    save_simulated(place.directories.snapshots, datetime(2026, 11, 22, 12, tzinfo=UTC))
    why = kind(odd)
    ended, out, err = run(place, *(str(odd) if one == "ODD" else one for one in arguments))
    if "--file" in arguments and kind is huge:
        code = 65
    assert (ended, out) == (code, ""), err
    line = said(err)
    assert str(odd) in line
    if "install" not in arguments:
        assert why.lower() in line.lower()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["password_file", "totp_file"])
def test_a_secret_that_is_no_file_is_told(
    place: Installation, tmp_path: Path, kind: Callable[[Path], str], key: str
) -> None:
    """`config check` reads the authenticator's secret, a login the password."""
    odd = tmp_path / "odd"
    why = kind(odd)
    second = {"second_factor": {"method": "totp", "totp_file": str(odd)}}
    login = second if key == "totp_file" else {"password_file": str(odd)}
    place.configure(1025, login=login)
    command = ["config", "check"] if key == "totp_file" else ["login", "--unattended"]
    if key == "password_file":
        (place.directories.certificate.parent).mkdir(parents=True)
        for name in ("gateway.pem", "gateway.spki"):
            (place.directories.certificate.parent / name).write_text("x")
    ended, out, err = run(place, *command)
    assert (ended, out) == (78, ""), err
    line = next(line for line in err.splitlines() if line.startswith("error: "))
    # Not the value: people put the secret itself there.
    assert f".{key}: " in line
    assert why.lower() in line.lower()


def bomb(path: Path, head: bytes, filling: bytes, megabytes: int) -> None:
    """Writes a gzip file that becomes as large as that."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(megabytes):
            file.write(packer.compress(filling * (1_000_000 // len(filling))))
        file.write(packer.flush())


@pytest.mark.parametrize(("head", "filling"), [(b"", b"\0"), (b'{"schema":1,"account":"', b"x"), (b'{"schema":', b"[")])
def test_a_bomb_is_not_unpacked(place: Installation, tmp_path: Path, head: bytes, filling: bytes) -> None:
    """Hundreds of kilobytes that become as many megabytes."""
    path = tmp_path / "x.json.gz"
    bomb(path, head, filling, 700)
    assert path.stat().st_size < 1_000_000
    program = (
        "import re, sys\n"
        "from ibkr_tools.cli import main\n"
        f"sys.argv = ['ibkr-tools', *{place.options!r}, 'show', '--file', {str(path)!r}]\n"
        "try: main()\n"
        # Not of getrusage, which begins with what the process that started us had.
        "finally: print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run(
        [place.command()[0], "-c", program],
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=PROMPTLY_S,
        check=False,
    )
    assert done.returncode == 65, done.stderr
    assert "when unpacked, that is no snapshot" in said(done.stderr)
    assert int(done.stdout) < MODEST_KB


def test_a_copy_that_is_cut_off_is_told(place: Installation, tmp_path: Path) -> None:
    path = tmp_path / "x.json.gz"
    packer = zlib.compressobj(wbits=31)
    whole = packer.compress(json.dumps({"schema": 1}).encode()) + packer.flush()
    path.write_bytes(whole[:-9])
    code, _, err = run(place, "show", "--file", str(path))
    assert (code, "damaged" in said(err)) == (65, True)


def test_standard_input_may_be_a_file(place: Installation) -> None:
    """`show --file /dev/stdin <FILE` reads a regular file."""
    saved = save_simulated(place.directories.snapshots, datetime(2026, 11, 22, 12, tzinfo=UTC))
    with saved.open("rb") as file:
        done = subprocess.run(
            place.command("show", "positions", "--file", "/dev/stdin"),
            env=place.environment,
            stdin=file,
            capture_output=True,
            text=True,
            timeout=PROMPTLY_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "11 positions" in done.stdout or "12 positions" in done.stdout
