"""Every example of the help, and the commands that the README and the recipes show, run where everything is ready."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ibkr_tools.cli.command_examples import EXTRAS
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.number_format import display_width
from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.flex_service import FLEX_QUERY, FLEX_TOKEN
from ibkr_tools.status import SessionSection, SessionState, utc_now
from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import document
from tests.support.installation import Installation
from tests.support.made_distribution import JAR, jar, parts, zipped
from tests.support.portal import signed_in
from tests.support.simulation import simulator_options
from tests.support.snapshots import simulated
from tests.support.terminals import on_terminal

USE = (CHECKOUT / "README.md").read_text().split("\n## Use\n")[1].split("\n## ")[0]
RECIPES = (CHECKOUT / "docs/metrics.md").read_text().split("\n## Recipes\n")[1]
EXAMPLES = {example.line: name for name, extras in EXTRAS.items() for example in extras.examples}
SHOWN = re.findall(
    r"^ +(?:command: )?((?:sudo |if )?ibkr-tools .+?)(?: +# .*)?$", f"{USE}\n{RECIPES}", flags=re.MULTILINE
)

NOT_RUN = {
    "ibkr-tools logs --follow": "tests/process/cli/test_logs_command.py",
    "ibkr-tools logs login -n 20": "tests/process/cli/test_logs_command.py",
    "ibkr-tools logs --warnings --since yesterday": "tests/process/cli/test_logs_command.py",
    "sudo ibkr-tools setup": "tests/system/test_1_setup.py",
    "sudo ibkr-tools setup --schedule 'Mon..Fri 18:00'": "tests/system/test_1_setup.py",
    "sudo ibkr-tools setup --simulator": "tests/system/test_1_setup.py",
    "sudo ibkr-tools password": "tests/process/cli/test_password_command.py",
    "sudo ibkr-tools password --password-stdin --login": "tests/process/cli/test_password_command.py",
    "sudo ibkr-tools login": "tests/browser/test_login.py",
    "sudo ibkr-tools login --explain": "tests/browser/test_page_report.py",
    "ibkr-tools watchdog": "tests/simulator/test_watchdog.py",
    "ibkr-tools up --simulate": "tests/simulator/test_up.py",
    "ibkr-tools up": "tests/gateway/test_gateway_process.py",
    "ibkr-tools simulate": "tests/simulator/test_simulator_serve.py",
    "ibkr-tools simulate --as-gateway --port 5000": "tests/simulator/test_simulator_serve.py",
    "ibkr-tools gateway run": "tests/gateway/test_gateway_process.py",
    "ibkr-tools gateway install --download": "tests/process/gateway/test_distribution.py",
    "ibkr-tools gateway update --check": "tests/process/cli/test_gateway_commands.py",
    "ibkr-tools gateway update": "tests/process/cli/test_gateway_commands.py",
}
"""What wants a journal, root, a terminal, a browser, Java or the internet, or runs until it is ended: tested there."""

CODES = {
    "ibkr-tools diff": 1,
    "ibkr-tools diff 2026-11-20 2026-11-27": 1,
    "sudo ibkr-tools doctor": 78,
    "ibkr-tools doctor --all": 78,
    "sudo ibkr-tools doctor --report": 78,
    "ibkr-tools history check": 65,
}
"""What does not end with 0: positions have changed, there is no Java, statement and snapshot are of two worlds."""

SILENT = frozenset({"sudo ibkr-tools metrics --write", "sudo ibkr-tools alert"})
"""What prints nothing and writes no file that it was told on the command line."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A gateway with a session, which may be asked at any pace."""
    with signed_in(tmp_path_factory.mktemp("simulator"), positions=12) as running:
        running.control.limits(enabled=False)
        yield running


@pytest.fixture(scope="module")
def flex_service() -> Iterator[Simulator]:
    """IBKR's Flex Web Service for an account that is a year old; statements are there at once."""
    with Simulator(simulator_options(accounts=("U1234567",))) as running:
        running.control.flex(not_ready=0, paced=False, begins="2025-12-01")
        yield running


def configure(place: Installation, simulator: Simulator, flex_service: Simulator) -> None:
    """Writes a configuration with something for every command."""
    place.configure(
        simulator.port,
        simulator.options.certificate,
        password="demo-password",
        gateway={"port": simulator.port, "java": "/bin/false"},
        flex={"query": FLEX_QUERY, "token": FLEX_TOKEN, "upstream": flex_service.url},
        metrics={"textfile": str(place.root / "ibkr-tools.prom")},
        alerts={"command": ["/bin/cat"]},
    )
    place.directories.config_file.chmod(0o600)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, flex_service: Simulator) -> Path:
    """The directories of somebody who has saved, imported and installed, and the files that the examples name."""
    root = tmp_path_factory.mktemp("ready")
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_DIRECTORY", "_proxy"))}
    place = Installation(root, environment | {"PYTHONPATH": str(CHECKOUT)})
    configure(place, simulator, flex_service)
    statement = document()
    (root / "2026.xml").write_bytes(statement)
    (root / "statements").mkdir()
    (root / "statements/2025.xml").write_bytes(statement.replace(b"202601", b"202501").replace(b"2026-01", b"2025-01"))
    (root / "index.csv").write_text("2024-12-31,100\n2026-01-09,101\n")
    for name, day in (("clientportal.gw.zip", "2031-01-01"), ("another.zip", "2031-02-02")):
        zipped(root / name, parts(day.encode()) | {JAR: jar(built=day)})
        offered = place.run("gateway", "update", str(root / name), "--check").stdout
        (digest,) = re.findall(r"offered .*sha256 ([0-9a-f]{64})", offered)
        assert place.run("gateway", "update", str(root / name), "--accept", digest).returncode == 0
    for count, (month, date) in enumerate(((1, 9), (11, 20), (11, 27)), 5):
        moment = datetime(2026, month, date, 18, tzinfo=UTC)
        snapshot_store.save(place.directories.snapshots, simulated(moment, positions=count), 10_000, moment)
    done = place.run("flex", "import", f"{root}/2026.xml", f"{root}/statements")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def place(
    ready: Path, simulator: Simulator, flex_service: Simulator, tmp_path: Path, environment: dict[str, str]
) -> Installation:
    """A copy of all that for one command, whose session is up."""
    shutil.copytree(ready, tmp_path / "home")
    place = Installation(tmp_path / "home", environment)
    configure(place, simulator, flex_service)
    now = utc_now()
    place.status.write(SessionSection(updated_at=now, fresh_for_s=3600, state=SessionState.UP, since=now, why="x"))
    return place


def test_what_is_not_run_is_tested_elsewhere() -> None:
    """And is an example; each command of the README and of the recipes is found."""
    assert NOT_RUN.keys() | CODES.keys() | SILENT <= EXAMPLES.keys()
    assert {file for file in NOT_RUN.values() if not (CHECKOUT / file).exists()} == set()
    for name in ("status --json", "show --jq", "history values --format csv", "if ibkr-tools status"):
        assert any(name in line for line in SHOWN), name


@pytest.mark.parametrize("line", sorted({*EXAMPLES, *SHOWN} - NOT_RUN.keys()))
def test_an_example_does_what_it_says(place: Installation, line: str) -> None:
    """It ends with the code that is meant, one that the help promises, and prints something or writes its file."""
    typed = line.removeprefix("sudo ").replace("ibkr-tools", shlex.join(place.command()), 1)
    done = subprocess.run(
        ["/bin/sh", "-c", typed],
        env=place.environment,
        cwd=place.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    code = CODES.get(line, 0)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert line not in EXAMPLES or code in EXTRAS[EXAMPLES[line]].exit_codes()
    assert code != 0 or "error: " not in done.stderr
    if written := re.search(r" -o (\S+)", line):
        assert len((place.root / written[1]).read_text().splitlines()) > 1
    else:
        assert bool(done.stdout + done.stderr) == (line not in SILENT)


@pytest.mark.parametrize(
    "line",
    [
        *("status", "doctor", "unlock --show", "config check", "gateway info", "gateway rollback", "pause --for 2h"),
        *("history values", "history positions", "history income", "history flows", "history trades", "history fees"),
        *("history returns --by year", "history values --plot", "history check", "history rebuild", "diff"),
        *("show", "show --list", "show summary", "flex list", "flex check 2026.xml", "resources", "logs"),
    ],
)
def test_what_is_for_people_fits_80_columns(place: Installation, line: str) -> None:
    """But for commands, which are never broken into lines, and messages on standard error."""
    place.record_logins(AttemptResult.SUBMITTED, AttemptResult.UNKNOWN, AttemptResult.PERSON)
    command = shlex.join(place.command(*shlex.split(line.replace("2026.xml", str(place.root / "2026.xml")))))
    environment = place.environment | {"TERM": "dumb"}
    environment.pop("COLUMNS", None)
    _, shown = on_terminal(["/bin/sh", "-c", f"{command} 2>/dev/null"], environment, columns=80)
    assert shown or line == "logs"
    commands = re.compile(r"^  \S", re.MULTILINE) if line == "doctor" else re.compile(r"(?!)")
    assert [part for part in shown.split("\n") if display_width(part) > 80 and not commands.match(part)] == []
