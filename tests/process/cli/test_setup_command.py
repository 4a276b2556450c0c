"""`ibkr-tools setup`: asks at a terminal, takes everything by options, and leaves no trace of the password."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config import example
from tests.support.checkout import CHECKOUT
from tests.support.fake_systemd import FakeSystemd
from tests.support.installation import Installation
from tests.support.made_distribution import parts, zipped
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which setting up is for")

SECRET = "se'cr\"et  \\ü"
FIRST = ("--username", "reader", "--account", "U7654321")
WRITTEN = {"username": "reader", "account": "U7654321"}
QUESTIONS = ("Name of the read-only IBKR user", "Account number", "When is a snapshot saved", "How are you told")


@pytest.fixture
def systemd(tmp_path: Path) -> FakeSystemd:
    return FakeSystemd(tmp_path)


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str], systemd: FakeSystemd) -> Installation:
    """An installation without a configuration."""
    installation = Installation(tmp_path, systemd.environment(environment))
    for directory in (installation.directories.configuration, installation.directories.state):
        directory.mkdir(mode=0o750)
    return installation


@pytest.fixture(autouse=True)
def _nothing_is_left(place: Installation) -> Iterator[None]:
    """Whatever a test does: the password is in its own file, and nowhere else."""
    yield
    for path in place.root.rglob("*"):
        if path.is_file() and path != place.directories.config_file.with_name("password"):
            assert SECRET.encode() not in path.read_bytes(), path


def arguments(systemd: FakeSystemd, *more: str) -> tuple[str, ...]:
    return ("setup", "--unit-dir", str(systemd.unit_directory), *more)


def set_up(
    place: Installation, systemd: FakeSystemd, *more: str, password: str | None = SECRET
) -> "subprocess.CompletedProcess[str]":
    """Runs it without a terminal; the password goes in by standard input."""
    options = [] if password is None else ["--password-stdin"]
    return subprocess.run(
        place.command(*arguments(systemd, *options, *more)),
        env=place.environment,
        input=f"{password}\n" if password is not None else "",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def configuration(place: Installation) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(place.directories.config_file.read_text())
    return document


def stored(place: Installation) -> str | None:
    file = place.directories.config_file.with_name("password")
    return file.read_text() if file.exists() else None


def test_everything_by_options(place: Installation, systemd: FakeSystemd) -> None:
    """No terminal, no question: what was given is written, and the unit's own time needs no drop-in."""
    done = set_up(place, systemd, *FIRST, "--schedule", "07:00", "--alerts", '["/bin/true"]', "--no-start")
    assert done.returncode == 0, done
    assert configuration(place) == {**WRITTEN, "alerts": {"command": ["/bin/true"]}}
    assert stored(place) == f"{SECRET}\n"
    modes = [path.stat().st_mode & 0o777 for path in sorted(place.directories.configuration.iterdir())]
    assert modes == [0o640, 0o600]
    assert systemd.calls() == ["enable ibkr-fetch.timer"]
    assert not systemd.unit_directory.exists()
    assert "config.json: fine; user reader, account U7654321" in done.stdout
    assert "sent: " in done.stdout
    assert done.stdout.splitlines()[-1] == "next: sudo systemctl start ibkr-gateway"
    assert SECRET not in done.stdout + done.stderr


def test_the_port_of_another_instance_is_refused(place: Installation, systemd: FakeSystemd) -> None:
    """Before anything is asked or written. One that was removed has left its configuration, and is in nobody's way."""
    other = place.root / "config@anna"
    other.mkdir()
    (other / "config.json").write_text('{"gateway": {"port": 5000}}')
    assert set_up(place, systemd, *FIRST, "--no-start").returncode == 0
    (place.root / "run@anna").mkdir()
    before = place.directories.config_file.read_bytes()
    done = set_up(place, systemd, *FIRST, "--no-start")
    assert (done.returncode, done.stdout) == (78, "")
    line, hint = done.stderr.splitlines()
    file = place.directories.config_file
    assert line == f"error: {file}: gateway.port 5000 is that of the instance anna already"
    assert re.fullmatch(r'hint: [0-9]+ is free: "gateway": \{"port": [0-9]+\} in that file\.', hint)
    assert file.read_bytes() == before
    checked = place.run("config", "check")
    assert checked.returncode == 0
    assert f"warning: {file}: gateway.port 5000 is that of the instance anna already; " in checked.stderr
    (other / "config.json").write_text('{"gateway": {"port": 5001}}')
    assert set_up(place, systemd, *FIRST, "--no-start").returncode == 0
    assert "anna" not in place.run("config", "check").stderr


def test_another_time_is_a_drop_in(place: Installation, systemd: FakeSystemd) -> None:
    done = set_up(place, systemd, *FIRST, "--schedule", "Mon..Fri 18:00", "--no-start")
    assert done.returncode == 0, done
    drop_in = systemd.unit_directory / "ibkr-fetch.timer.d/50-schedule.conf"
    assert drop_in.read_text().endswith("[Timer]\nOnCalendar=\nOnCalendar=Mon..Fri *-*-* 18:00:00\n")
    assert drop_in.stat().st_mode & 0o777 == 0o644
    assert systemd.calls() == ["daemon-reload", "enable ibkr-fetch.timer"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--username", " x"], "--username"),
        (["--username", example.EXAMPLE_USERNAME], "still the example's"),
        (["--account", "u7654321"], "did you mean 'U7654321'?"),
        (["--schedule", "whenever"], "Failed to parse calendar specification"),
        (["--schedule", ""], "07:00"),
        (["--alerts", "telegram"], "neither none"),
        (["--alerts", '["/nowhere/tell"]'], "not there"),
    ],
)
def test_a_wrong_answer_is_2_with_its_reason(
    place: Installation, systemd: FakeSystemd, given: list[str], words: str
) -> None:
    """One line, and nothing is written."""
    done = set_up(place, systemd, *FIRST, *given)
    assert done.returncode == 2, done
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(place.directories.configuration.iterdir()) == []
    assert systemd.calls() == []


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "nothing in it"),
        ("a\nb", "more than one line"),
        ("hunter\u200b22", "zero width space"),
        ("x" * 5000, "4096"),
    ],
)
def test_a_password_that_nobody_types_is_2(
    place: Installation, systemd: FakeSystemd, password: str, words: str
) -> None:
    done = set_up(place, systemd, *FIRST, password=password)
    assert (done.returncode, words in done.stderr) == (2, True), done
    assert list(place.directories.configuration.iterdir()) == []


def test_what_is_missing_without_a_terminal_is_named(place: Installation, systemd: FakeSystemd) -> None:
    """Until it is there: then running again needs none of it, and changes nothing."""
    done = set_up(place, systemd, password=None)
    assert done.returncode == 2
    assert done.stderr == "error: no terminal to ask on, and missing: --username, --account, --password-stdin\n"
    assert set_up(place, systemd, *FIRST, "--no-start").returncode == 0
    before = place.directories.config_file.stat()
    done = set_up(place, systemd, "--no-start", password=None)
    assert done.returncode == 0, done
    assert place.directories.config_file.stat().st_mtime_ns == before.st_mtime_ns
    assert stored(place) == f"{SECRET}\n"


def test_only_root_sets_up(place: Installation, systemd: FakeSystemd, open_path: Path) -> None:
    """77, with the line to type."""
    for command in ("setup", "password"):
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", *place.command(command)],
            env=place.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if "Permission denied" in done.stderr:
            pytest.skip("the checkout is one that only root can enter")
        assert (done.returncode, done.stderr.splitlines()) == (
            77,
            [
                f"error: {command}: only root can write the configuration and start services",
                f"hint: sudo {shlex.join(['ibkr-tools', *place.options, command])}",
            ],
        )


def test_without_units_it_says_what_installs_them(place: Installation, systemd: FakeSystemd) -> None:
    systemd.set("ibkr-gateway.service", LoadState="not-found")
    systemd.set("ibkr-simulator.service", LoadState="not-found")
    for options in (FIRST, ("--simulator",)):
        done = set_up(place, systemd, *options, password=None if "--simulator" in options else SECRET)
        assert (done.returncode, "sudo ./bin/install" in done.stderr) == (78, True), done
    assert list(place.directories.configuration.iterdir()) == []


@pytest.mark.parametrize("text", ["{", '{"usrname": "x"}', '{"username": "reader", "account": "U7654321", "x": 1}'])
def test_a_broken_configuration_is_named_and_stays(place: Installation, systemd: FakeSystemd, text: str) -> None:
    place.directories.config_file.write_text(text)
    place.directories.config_file.chmod(0o640)
    done = set_up(place, systemd, *FIRST)
    assert (done.returncode, str(place.directories.config_file) in done.stderr) == (78, True), done
    assert place.directories.config_file.read_text() == text
    assert stored(place) is None


def test_the_example_is_replaced_and_the_rest_stays(place: Installation, systemd: FakeSystemd) -> None:
    """What an administrator has written beside it, in its order."""
    document = json.loads((CHECKOUT / "config.example.json").read_text())
    document = {"gateway": {"heap_mb": 96}, **document, "fetch": {"keep_days": 3}}
    place.directories.config_file.write_text(json.dumps(document))
    place.directories.config_file.chmod(0o640)
    assert set_up(place, systemd, *FIRST, "--no-start").returncode == 0
    assert list(configuration(place).items()) == [
        ("gateway", {"heap_mb": 96}),
        ("username", "reader"),
        ("account", "U7654321"),
        ("fetch", {"keep_days": 3}),
    ]


def test_a_password_that_waits_in_the_configuration_is_moved(place: Installation, systemd: FakeSystemd) -> None:
    place.directories.config_file.write_text(json.dumps({**WRITTEN, "password": SECRET}, ensure_ascii=False))
    place.directories.config_file.chmod(0o640)
    done = set_up(place, systemd, "--no-start", password=None)
    assert done.returncode == 0, done
    assert (configuration(place), stored(place)) == (WRITTEN, f"{SECRET}\n")


def test_asked_at_a_terminal(place: Installation, systemd: FakeSystemd) -> None:
    """Each answer is checked at once and asked again with the reason; the password has no echo."""
    with Terminal(place.command(*arguments(systemd)), place.environment) as terminal:
        terminal.wait_for("Settings → Users & Access Rights")
        terminal.answer(QUESTIONS[0], "")
        terminal.answer(QUESTIONS[0], "reader")
        terminal.answer(QUESTIONS[1], "reader")
        terminal.wait_for("that is the user name")
        terminal.answer(QUESTIONS[1], " U7654321 ")
        terminal.answer(QUESTIONS[2], "whenever")
        terminal.wait_for("Failed to parse")
        terminal.answer(QUESTIONS[2], "daily")
        terminal.answer(QUESTIONS[3], "pigeon")
        terminal.wait_for("neither none")
        terminal.answer(QUESTIONS[3], "none")
        terminal.answer("Password of reader", "")
        terminal.wait_for("there is nothing in it")
        terminal.answer("Password of reader", SECRET)
        terminal.answer("The same once more", f"{SECRET}x")
        terminal.wait_for("not the same")
        terminal.answer("Password of reader", SECRET)
        terminal.answer("The same once more", SECRET)
        terminal.answer("log in once now", "n")
        assert terminal.end() == 0, terminal.text
    assert SECRET not in terminal.text
    assert (configuration(place), stored(place)) == (WRITTEN, f"{SECRET}\n")
    assert "OnCalendar=*-*-* 00:00:00\n" in (systemd.unit_directory / "ibkr-fetch.timer.d/50-schedule.conf").read_text()


def test_a_terminal_that_would_show_the_password_is_refused(place: Installation, systemd: FakeSystemd) -> None:
    """An option for scripts, typed by a person."""
    for command in (arguments(systemd, "--password-stdin", *FIRST), ("password", "--password-stdin")):
        with Terminal(place.command(*command), place.environment) as terminal:
            assert terminal.end() == 2, terminal.text
        assert "leave the option out" in terminal.text
    assert list(place.directories.configuration.iterdir()) == []


def test_units_of_another_configuration_are_left_alone(place: Installation, systemd: FakeSystemd) -> None:
    """systemd's units are those of /etc/ibkr-tools; a second user's directories have none."""
    done = place.run("setup", *FIRST)
    assert (done.returncode, "the units use /etc/ibkr-tools" in done.stderr) == (2, True), done
    assert systemd.calls() == []


def test_what_is_there_is_the_answer_to_enter(place: Installation, systemd: FakeSystemd) -> None:
    """Running again is how one changes one answer: the others are offered."""
    alerts = {"command": ["/bin/true"], "outage_min": 5}
    place.directories.config_file.write_text(json.dumps({**WRITTEN, "alerts": alerts}))
    place.directories.config_file.chmod(0o640)
    assert set_up(place, systemd, "--no-start").returncode == 0
    systemd.set("ibkr-fetch.timer", UnitFileState="enabled")
    with Terminal(place.command(*arguments(systemd, "--no-start")), place.environment) as terminal:
        for question, offered in zip(QUESTIONS, ("[reader]", "[U7654321]", "[*-*-* 07:00:00]", "[keep]"), strict=True):
            terminal.wait_for(question)
            terminal.wait_for(offered)
            terminal.type("U7654322\n" if question == QUESTIONS[1] else "\n")
        terminal.answer("Enter keeps the present one", "")
        assert terminal.end() == 0, terminal.text
    assert configuration(place) == {"username": "reader", "account": "U7654322", "alerts": alerts}
    assert stored(place) == f"{SECRET}\n"
    assert "Settings →" not in terminal.text


@pytest.mark.parametrize(
    ("answered", "key"), [*((number, "\x03") for number in range(6)), (0, "\x04"), (4, "\x04")], ids=ascii
)
def test_ctrl_c_leaves_everything_as_it_was(place: Installation, systemd: FakeSystemd, answered: int, key: str) -> None:
    """At whichever question, and Ctrl-D at one with an echo and one without; 130, as a shell has it."""
    place.directories.config_file.write_text('{"username": "former"}')
    place.directories.config_file.chmod(0o640)
    questions = [*QUESTIONS, "Password of reader", "The same once more"]
    answers = ["reader", "U7654321", "none", "none", SECRET]
    with Terminal(place.command(*arguments(systemd)), place.environment) as terminal:
        for question, answer in zip(questions[:answered], answers, strict=False):
            terminal.answer(question, answer)
        terminal.wait_for(questions[answered])
        terminal.wait_for(": ")
        assert terminal.interrupt(key) == 130, terminal.text
    assert "nothing was changed" in terminal.text
    assert "Traceback" not in terminal.text
    assert SECRET not in terminal.text
    assert place.directories.config_file.read_text() == '{"username": "former"}'
    assert stored(place) is None
    assert systemd.calls() == []


def test_a_gateway_that_is_missing_is_78(place: Installation, systemd: FakeSystemd) -> None:
    """With what installs it; what was answered is kept."""
    done = set_up(place, systemd, *FIRST)
    assert (done.returncode, "IBKR's gateway is not installed" in done.stderr) == (78, True), done
    assert "--download-gateway" in done.stderr
    assert configuration(place) == WRITTEN
    assert not any("start" in call for call in systemd.calls())


def install_gateway(place: Installation) -> None:
    """Installs a gateway that is not IBKR's, and whose build was accepted."""
    offered = str(zipped(place.root / "offered.zip", parts()))
    told = place.run("gateway", "update", offered, "--check").stdout
    (digest,) = re.findall(r"offered .*sha256 ([0-9a-f]{64})", told)
    assert place.run("gateway", "update", offered, "--accept", digest).returncode == 0


def test_the_simulator_needs_the_gateway_too(place: Installation, systemd: FakeSystemd) -> None:
    """A package has the units before IBKR's gateway is there: nothing is enabled or started."""
    done = set_up(place, systemd, "--simulator", password=None)
    assert (done.returncode, "IBKR's gateway is not installed" in done.stderr) == (78, True), done
    assert "setup --simulator --download-gateway, or" in done.stderr
    assert "install --simulator --gateway" in done.stderr
    assert systemd.calls() == []
    # Nor is anything written: whoever sets a user of their own up next is not asked about the simulator's.
    assert "configuration" not in done.stdout


def test_a_unit_that_does_not_start_is_69(place: Installation, systemd: FakeSystemd) -> None:
    systemd.fail("start ibkr-gateway.service")
    install_gateway(place)
    done = set_up(place, systemd, "--simulator", password=None)
    assert done.returncode == 69, done
    error, hint = done.stderr.splitlines()
    assert error.startswith(
        "error: systemctl start ibkr-gateway.service: Job for it failed because the control process"
    )
    assert hint == "hint: journalctl -u ibkr-gateway.service -n 20 says why."


def test_a_login_that_fails_is_said_with_the_next_step(place: Installation, systemd: FakeSystemd) -> None:
    """The units were started, nothing answers: the login says so, and its code is that of all."""
    install_gateway(place)
    done = set_up(place, systemd, "--simulator", password=None)
    assert done.returncode == 69, done
    assert systemd.calls() == [
        "enable ibkr-simulator.service ibkr-gateway.service",
        "start ibkr-gateway.service",
    ]
    assert done.stdout.splitlines()[-1] == "next: journalctl -u ibkr-gateway -n 20"


def test_the_simulators_user_needs_no_question(place: Installation, systemd: FakeSystemd) -> None:
    """Written once; somebody's own configuration stays."""
    for _ in range(2):
        assert set_up(place, systemd, "--simulator", "--no-start", password=None).returncode == 0
        assert configuration(place)["username"] == "demo-reader"
        assert stored(place) == "demo-password\n"
    place.directories.config_file.write_text(json.dumps(WRITTEN))
    done = set_up(place, systemd, "--simulator", "--no-start", password=None)
    assert (done.returncode, "is not the simulator's" in done.stderr) == (78, True), done
    assert configuration(place) == WRITTEN
    assert set_up(place, systemd, "--simulator", *FIRST, password=None).returncode == 2
