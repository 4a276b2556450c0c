"""Man pages and completion scripts as they are installed: read by man, and pressed Tab at in real shells."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ibkr_tools.fetch import snapshot_store
from tests.support.instance_namespace import InstanceNamespace
from tests.support.layers import no_namespaces
from tests.support.patience import wait_until
from tests.support.stored_snapshots import DAY, NOON, document

pytestmark = pytest.mark.shells

PROGRAM = Path(sys.executable).parent


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all pages are, as below /usr/local."""
    place = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ibkr_tools.cli.pages", str(place)], capture_output=True, text=True, check=True
    )
    listed = done.stdout.splitlines()
    assert sorted(listed) == sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
    return place


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person's, with the program on PATH and nothing of theirs."""
    return {
        "PATH": f"{PROGRAM}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "MANWIDTH": "80",
    }


def test_man_warns_of_nothing(prefix: Path, environment: dict[str, str]) -> None:
    pages = sorted((prefix / "share/man").rglob("*.[157]"))
    assert len(pages) > 30
    for page in pages:
        done = subprocess.run(
            ["man", "--warnings", "--local-file", page], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stderr == "", page.name
        assert all(len(line) <= 80 for line in done.stdout.splitlines()), page.name


def test_man_finds_a_page_by_the_command_and_apropos_its_purpose(prefix: Path, environment: dict[str, str]) -> None:
    manpath = {"MANPATH": str(prefix / "share/man")}
    done = subprocess.run(
        ["man", "ibkr-tools", "flex"], env=environment | manpath, capture_output=True, text=True, check=True
    )
    assert "IBKR-TOOLS-FLEX(1)" in done.stdout
    named = subprocess.run(
        ["lexgrog", *sorted((prefix / "share/man").rglob("*.[157]"))], capture_output=True, text=True, check=False
    )
    assert named.returncode == 0, named.stdout


def test_a_distribution_has_the_script_of_zsh_where_packages_have_it(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-P", "-m", "ibkr_tools.cli.pages", "--vendor", str(tmp_path)], capture_output=True, check=True
    )
    assert (tmp_path / "share/zsh/vendor-completions/_ibkr-tools").is_file()
    assert not (tmp_path / "share/zsh/site-functions").exists()


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--prefix"]])
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ibkr_tools.cli.pages", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "error: expected [--vendor] PREFIX, such as /usr/local\n")


class Terminal:
    """A shell at a terminal of its own, and what it has shown."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command], env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self.shown = ""

    def type(self, text: str) -> None:
        """Types, as a person does."""
        os.write(self._master, text.encode())

    def wait_for(self, *texts: str) -> None:
        """Waits until all of these are shown, and forgets what was shown so far."""

        def is_shown() -> bool:
            with suppress(BlockingIOError, OSError):
                while data := os.read(self._master, 65536):
                    self.shown += data.decode(errors="replace")
            return all(text in self.shown for text in texts)

        try:
            wait_until(is_shown, timeout_s=10)
        except AssertionError:
            raise AssertionError(self.shown) from None
        self.shown = ""

    def close(self) -> None:
        """Ends the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> InstanceNamespace:
    """The instance without a name and two with one, each with an account and a saved snapshot of its own."""
    if reason := no_namespaces("--mount"):
        pytest.skip(reason)
    found = InstanceNamespace(tmp_path_factory.mktemp("instances"))
    for days, (name, account) in enumerate(((None, "U1234567"), ("anna", "U7654321"), ("bob", "U1111111"))):
        snapshot_store.save(found.add(name, account).snapshots, document(), 30, NOON - days * DAY)
    return found


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, prefix: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """A shell that has found its script, each in its own way."""
    with started_shell(request.param, prefix, environment, ()) as terminal:
        yield terminal


@contextmanager
def started_shell(name: str, prefix: Path, environment: dict[str, str], before: Sequence[str]) -> Iterator[Terminal]:
    """Starts a shell; `before`: what starts it."""
    share = prefix / "share"
    match name:
        case "bash":
            command = ["bash", "--noprofile", "--norc", "-i"]
            start = f"PS1='READY> '; source {share}/bash-completion/completions/ibkr-tools; bind 'set bell-style none'"
        case "zsh":
            command = ["zsh", "-f", "-i"]
            start = f"PS1='READY> '; fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u"
        case _:
            command = ["fish", "--no-config", "-i"]
            start = (
                f"source {share}/fish/vendor_completions.d/ibkr-tools.fish; function fish_prompt; echo 'READY> '; end"
            )
    terminal = Terminal([*before, *command], environment | ({"TERM": "xterm"} if name == "fish" else {}))
    try:
        terminal.type(f"{start}\n")
        terminal.wait_for("READY> ")
        terminal.type("echo be''gun\n")
        terminal.wait_for("begun")
        yield terminal
    finally:
        terminal.close()


def test_a_shell_completes_a_resource(shell: Terminal) -> None:
    """Typed as far as it is unique, Tab types the rest."""
    shell.type("ibkr-tools resources tradi\t")
    shell.wait_for("trading_schedule")


def test_a_shell_lists_what_an_option_takes(shell: Terminal) -> None:
    shell.type("ibkr-tools history income --by \t\t")
    shell.wait_for("instrument", "currency")


def test_a_shell_completes_what_stands_after_an_equals_sign(shell: Terminal) -> None:
    """Which bash takes for the end of a word."""
    shell.type("ibkr-tools history income --by=instr\t")
    shell.wait_for("ument")


def test_a_shell_completes_names_of_files_itself(shell: Terminal, tmp_path: Path) -> None:
    (tmp_path / "statement-2026.xml").touch()
    shell.type(f"ibkr-tools flex import {tmp_path}/statement-\t")
    shell.wait_for("2026.xml")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_completes_what_is_an_instances_own(
    name: str, prefix: Path, environment: dict[str, str], instances: InstanceNamespace
) -> None:
    """Its name, then the accounts and days of that one and of no other, wherever --instance stands."""
    with started_shell(name, prefix, environment, instances.command()) as shell:
        shell.type("ibkr-tools --instance \t\t")
        shell.wait_for("anna", "bob", "default")
        shell.type("\x15ibkr-tools --instance=bo\t")
        shell.wait_for("b")
        shell.type("\x15ibkr-tools --instance bob fetch --account U11\t")
        shell.wait_for("U1111111")
        shell.type("\x15ibkr-tools --instance=anna show --at 2026-11-21T\t")
        shell.wait_for("12:00")
        shell.type("\x15ibkr-tools --instance default fetch --account U\t")
        shell.wait_for("1234567")


def test_only_instances_that_a_person_may_look_at_are_named(instances: InstanceNamespace) -> None:
    """Another one's name is in nobody's way."""
    program = (
        "import os; from ibkr_tools.instance import visible_instances\n"
        "from ibkr_tools.directories import SYSTEM_RUNTIME\n"
        "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "print(*visible_instances(SYSTEM_RUNTIME))"
    )
    closed = instances.directories("bob").runtime
    closed.chmod(0o700)
    try:
        done = subprocess.run(
            instances.command(sys.executable, "-P", "-c", program), capture_output=True, text=True, check=True
        )
    finally:
        closed.chmod(0o755)
    assert done.stdout == "default anna\n"


def test_the_scripts_are_what_the_program_prints(prefix: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [shutil.which("ibkr-tools", path=str(PROGRAM)) or "", "--show-completion", "zsh"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (prefix / "share/zsh/site-functions/_ibkr-tools").read_text()
    assert done.stdout.startswith("#compdef ibkr-tools\n")
