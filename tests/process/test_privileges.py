"""What root starts by hand becomes the user of the units; a person's directories root does not touch at all."""

import ctypes
import importlib
import json
import multiprocessing
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ibkr_tools import privileges
from ibkr_tools.cli.app_context import create_app_context
from ibkr_tools.cli.flex_fetch_command import _service
from ibkr_tools.cli.history_options import postgres_of
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ActionRequired
from tests.support.checkout import CHECKOUT
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to stop being it")

AS_NOBODY = f"""
    set -euo pipefail
    source {CHECKOUT}/bin/_common.sh
    source {CHECKOUT}/bin/_installed.sh
    STATE_DIR=/nonexistent
    as_user nobody """
NOBODY = pwd.getpwnam("nobody")
CONFIG = '{"username": "demo-reader", "account": "U1234567", "password": "hunter2 hunter2"}'


@pytest.fixture
def place() -> Iterator[Directories]:
    """Directories that another user can enter: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)
        directories = Directories(configuration=root / "etc", runtime=root / "run", state=root / "state")
        for directory in (directories.configuration, directories.runtime, directories.state):
            directory.mkdir(mode=0o750)
        directories.config_file.write_text(CONFIG)
        directories.config_file.chmod(0o600)
        yield directories


def give(directories: Directories, uid: int = NOBODY.pw_uid) -> None:
    """Gives the two directories that the units write to a user."""
    for directory in (directories.runtime, directories.state):
        os.chown(directory, uid, -1)


# A checkout may be one that only root can enter: what a command imports late is imported before it is nobody's.
for module in (
    "fetch.fetch_task",
    "fetch.snapshot_store",
    "login.login_runner",
    "portal.client",
    "gateway.tls",
    "gateway.distribution_download",
    "gateway.preparation",
    "cli.status_report",
    "cli.login_log_view",
    "cli.flex_fetch_command",
    "flex.flex_task",
    "history.postgres",
    "history.rebuild",
    "login.memory_protection",
):
    importlib.import_module(f"ibkr_tools.{module}")


def _command(directories: Directories, arguments: tuple[str, ...], service_user: str) -> None:
    from ibkr_tools.cli import main

    privileges.SERVICE_USER = service_user
    places = (
        "--config",
        directories.config_file,
        "--runtime-dir",
        directories.runtime,
        "--state-dir",
        directories.state,
    )
    sys.argv = ["ibkr-tools", *map(str, places), *arguments]
    main()


def run(directories: Directories, *arguments: str, service_user: str = "nobody") -> int | None:
    """Runs a command as root, in a process of its own, and returns its exit code."""
    process = multiprocessing.get_context("fork").Process(
        target=_command, args=(directories, arguments, service_user), daemon=True
    )
    process.start()
    process.join(60)
    return process.exitcode


def test_root_becomes_who_owns_the_directories(place: Directories) -> None:
    give(place)
    assert run(place, "pause") == 0
    assert place.pause_file.stat().st_uid == NOBODY.pw_uid


@pytest.mark.parametrize(
    "arguments",
    [
        *(("pause",), ("resume",), ("unlock",), ("status",), ("fetch",), ("show",), ("gateway", "prepare"), ("login",)),
        *(
            ("flex", "list"),
            ("flex", "fetch"),
            ("flex", "check"),
            ("history", "rebuild"),
            ("history", "values"),
            ("diff",),
        ),
    ],
)
def test_root_follows_no_link_in_directories_of_others(place: Directories, arguments: tuple[str, ...]) -> None:
    """Whatever the user of the units has put there: neither a file nor its owner or mode changes."""
    precious = place.configuration / "precious"
    precious.write_text("root's")
    precious.chmod(0o600)
    give(place)
    names = ("status.json", "status.lock", "pacing.json", "pacing.lock", "login.request", "shared", "outbox", "cache")
    for name in names:
        (place.runtime / name).symlink_to(precious)
    for name in ("login", "browser", "gateway", "snapshots", "statements", "history", "pause.json"):
        (place.state / name).symlink_to(precious)
    run(place, *arguments)
    assert (precious.read_text(), precious.stat().st_uid, precious.stat().st_mode & 0o7777) == ("root's", 0, 0o600)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_root_is_told_how_to_install_what_the_units_user_may_not_read(
    place: Directories, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    folder = place.configuration.parent / "folder"
    folder.mkdir(mode=0o755 if what == "file" else 0o700)
    source = folder / "clientportal.gw.zip"
    source.touch(mode=0o600)
    place.configuration.chmod(0o755)
    place.config_file.write_text('{"username": "demo-reader", "account": "U1234567"}')
    place.config_file.chmod(0o644)
    give(place)
    assert run(place, "gateway", "install", str(source)) == 78
    said = capfd.readouterr().err
    assert f"{source}: Permission denied" in said
    assert f"As root it goes on as nobody, who may not read that: sudo ./bin/install --gateway {source}" in said


def test_root_is_told_why_it_may_not_write(place: Directories, capfd: pytest.CaptureFixture[str]) -> None:
    """The file would be `nobody`'s to write, who may not."""
    from ibkr_tools.fetch import snapshot_store
    from tests.support.stored_snapshots import NOON, document

    snapshot_store.save(place.snapshots, document(), 0, NOON)
    for path in (place.snapshots, *place.snapshots.iterdir()):
        os.chown(path, NOBODY.pw_uid, -1)
    give(place)
    assert run(place, "show", "--format", "json", "-o", str(place.configuration / "new.json")) == 73
    assert "As root it goes on as nobody" in capfd.readouterr().err
    assert not (place.configuration / "new.json").exists()


def test_root_stays_root_where_everything_is_roots(place: Directories) -> None:
    """In a container there may be nobody else."""
    assert privileges.user_to_switch_to(place) is None
    assert run(place, "pause") == 0
    assert place.pause_file.stat().st_uid == 0


def test_root_does_nothing_in_a_persons_directories(place: Directories) -> None:
    give(place)
    with pytest.raises(ActionRequired, match="belongs to nobody"):
        privileges.user_to_switch_to(place)
    assert run(place, "pause", service_user="ibkr") == 77
    assert not place.pause_file.exists()


def test_a_directory_that_is_not_there_belongs_to_who_can_make_it(place: Directories) -> None:
    give(place)
    deep = Directories(configuration=place.configuration, runtime=place.runtime / "a" / "b", state=place.state)
    with pytest.raises(ActionRequired):
        privileges.user_to_switch_to(deep)


def test_whoever_is_not_root_goes_on_as_they_are(place: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    give(place)
    assert not privileges.drop_root(place)


def test_root_reads_first_what_only_root_may_read(place: Directories) -> None:
    """The configuration is root's: without it the command would not know the port. The gateway is not there: 69."""
    give(place)
    assert run(place, "fetch") == 69


def run_function(function: Callable[[], None]) -> int | None:
    """Runs a function as root, in a process of its own, and returns its exit code."""
    process = multiprocessing.get_context("fork").Process(target=function, daemon=True)
    process.start()
    process.join(60)
    return process.exitcode


def test_root_reads_the_databases_password_before_it_may_not(
    place: Directories, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**json.loads(CONFIG), "history": {"database": "postgresql://ibkr@db.example.org/portfolio"}}
    place.config_file.write_text(json.dumps(config))
    secret = place.configuration / "database-password"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    give(place)
    monkeypatch.setattr(privileges, "SERVICE_USER", "nobody")

    def drop_and_ask() -> None:
        context = create_app_context(place.config_file, place.runtime, place.state)
        context.drop_root()
        assert os.geteuid() == NOBODY.pw_uid
        database = postgres_of(context)
        assert database is not None
        assert database._password == "geheim"  # what psycopg gets

    assert run_function(drop_and_ask) == 0


def test_a_databases_password_that_others_can_read_is_said(
    place: Directories, capfd: pytest.CaptureFixture[str]
) -> None:
    config = {**json.loads(CONFIG), "history": {"database": "postgresql://ibkr@db.example.org/portfolio"}}
    place.config_file.write_text(json.dumps(config))
    (place.configuration / "database-password").write_text("geheim\n")
    (place.configuration / "database-password").chmod(0o644)
    give(place)
    assert run(place, "history", "values") == 78
    assert "others can read the database's password" in capfd.readouterr().err


@pytest.mark.parametrize("is_given", [False, True])
def test_a_token_is_hidden_from_others_of_the_same_user(
    place: Directories, monkeypatch: pytest.MonkeyPatch, is_given: bool
) -> None:
    config = {**json.loads(CONFIG), "flex": {"query": "1", "token": "1" * 24}}
    place.config_file.write_text(json.dumps(config))
    monkeypatch.setattr(privileges, "SERVICE_USER", "nobody")
    if is_given:
        give(place)

    def look() -> None:
        context = create_app_context(place.config_file, place.runtime, place.state)
        with _service(context):
            pr_get_dumpable = 3
            assert ctypes.CDLL(None).prctl(pr_get_dumpable, 0, 0, 0, 0) == 0

    assert run_function(look) == 0


def _command_as_nobody(directories: Directories, arguments: tuple[str, ...]) -> None:
    os.setgroups([])
    os.setresgid(NOBODY.pw_gid, NOBODY.pw_gid, NOBODY.pw_gid)
    os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_uid)
    _command(directories, arguments, "root")


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause", "--for", "2h"),
        ("resume",),
        ("unlock",),
        ("unlock", "--show"),
        ("login",),
        ("login", "--explain"),
        ("alert",),
        ("fetch", "--save"),
        ("flex", "fetch"),
        ("flex", "check"),
        ("flex", "import", "x.xml"),
        ("flex", "list"),
        ("history", "rebuild"),
        ("gateway", "prepare"),
        ("gateway", "install", "--download"),
        ("gateway", "update"),
        ("gateway", "rollback"),
    ],
)
def test_who_may_not_is_told_what_to_type(
    place: Directories, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """In one form and with one code, before anything else happens; the directories may be closed or not."""
    place.configuration.chmod(0o755)
    place.config_file.write_text('{"username": "demo-reader", "account": "U1234567", "flex": {"query": "123456"}}')
    place.config_file.chmod(0o644)
    for mode in (0o755, 0o700):
        for directory in (place.runtime, place.state):
            directory.chmod(mode)
        process = multiprocessing.get_context("fork").Process(target=_command_as_nobody, args=(place, arguments))
        process.start()
        process.join(60)
        told = capfd.readouterr().err.splitlines()
        assert process.exitcode == 77, "\n".join(told)
        assert told[-2].endswith(": only root may change it")
        assert told[-1].startswith("hint: sudo ibkr-tools --config ")
        assert told[-1].endswith(" ".join(arguments))


def test_who_may_is_told_nothing(place: Directories) -> None:
    """Their own directory, one that is not there yet in it, and anything at all for root."""
    privileges.require_rights(place.state / "login", ["login"])
    give(place)

    def as_nobody() -> None:
        os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_uid)
        privileges.require_rights(place.state, ["login"])
        privileges.require_rights(place.state / "login" / "log.json", ["login"])

    process = multiprocessing.get_context("fork").Process(target=as_nobody)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_who_scripts_start_as_another_user_has_not_roots_terminal() -> None:
    """TIOCSTI: what is typed into it is run by root's shell, and whoever is that user can have a process do it."""
    line = "sh -c 'exec 3<>/dev/tty && echo reached' || echo ended $?"
    with Terminal(["bash", "-c", f"{AS_NOBODY} {line}"], {"PATH": os.environ["PATH"]}) as terminal:
        terminal.wait_for("ended 2")
        assert terminal.end() == 0
    assert "reached" not in terminal.text


def test_ctrl_c_ends_what_scripts_start_as_another_user() -> None:
    line = "bash -c 'trap \"echo told; exit\" TERM; echo ready $$; while :; do sleep 0.1; done'; echo gone on"
    with Terminal(["bash", "-c", f"{AS_NOBODY} {line}"], {"PATH": os.environ["PATH"]}) as terminal:
        terminal.wait_for("ready")
        assert terminal.interrupt() == 130
    assert "told" in terminal.text
    assert "gone on" not in terminal.text


def test_a_script_hands_on_input_output_and_exit_code_of_another_user() -> None:
    line = f"{AS_NOBODY} sh -c 'read -r word; echo \"$word $(id -un) $HOME $PWD\"; exit 7'"
    done = subprocess.run(["bash", "-c", line], input="hello\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello nobody /nonexistent /\n", "")


def test_what_a_process_calls_itself_moves_no_cursor_of_root() -> None:
    """As `bin/uninstall --purge` names those that still run."""
    name = "ctypes.CDLL(None).prctl(15, b'a\\x1b[2J\\x9bb'); os.setuid(12345); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-I", "-c", f"import ctypes, os, time; {name}"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        line = f"source {CHECKOUT}/bin/_common.sh; source {CHECKOUT}/bin/_installed.sh; processes_of 12345; "
        shown = subprocess.check_output(["bash", "-c", f"{line} note $'\\e[2J'"])
        process.kill()
    assert shown == f"{process.pid} (a?[2J?b)\n    ?[2J\n".encode()


def test_the_copy_of_a_gateway_is_for_the_units_user_alone(tmp_path: Path) -> None:
    """It may lie where somebody else has put a link to what only root can read."""
    (tmp_path / "shadow").write_text("secret")
    (tmp_path / "shadow").chmod(0o600)
    (tmp_path / "source/root").mkdir(parents=True)
    (tmp_path / "source/zip").symlink_to(tmp_path / "shadow")
    (tmp_path / "to").mkdir(mode=0o700)
    line = f"source {CHECKOUT}/bin/_common.sh; source {CHECKOUT}/bin/_installed.sh; SERVICE_USER=daemon; umask 022; "
    stage = f"stage_gateway {tmp_path}/source/zip {tmp_path}/to; stage_gateway {tmp_path}/source {tmp_path}/to"
    subprocess.run(["bash", "-c", line + stage], check=True)
    group = pwd.getpwnam("daemon").pw_gid
    for name, mode in {"": 0o40750, "zip": 0o100640, "source": 0o40750, "source/root": 0o40750}.items():
        entry = (tmp_path / "to" / name).lstat()
        assert (entry.st_mode, entry.st_uid, entry.st_gid) == (mode, 0, group), name
    assert (tmp_path / "to/source/zip").is_symlink()
