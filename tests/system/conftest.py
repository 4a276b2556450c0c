"""One booted machine for all system tests; each test begins with a session that is up."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.container import Container, ContainerError, missing_needs
from tests.support.daytime import noon_in_new_york
from tests.support.distribution import distribution
from tests.support.wheels import wheelhouse, wheels_for
from tests.system.machine import CHECKOUT, CONFIG, DISTRIBUTION, HOSTILE, IN_HOSTILE, INSTALL, WHEELS, Machine, now
from tests.system.people import SHARED, People

ROOT = Path(__file__).parents[2]
HOSTILE_MODULES = (
    *("os", "json", "site", "sitecustomize", "usercustomize", "venv", "ensurepip", "pip", "setuptools", "hatchling"),
    *("msgspec", "typer", "ibkr_tools", "cryptography"),
)
MACHINE = pytest.StashKey[Machine]()
PROGRAMS = ("java", "chromium", "chromedriver", "nft", "ip", "curl", "jq", "faketime", "python3", "pipx")
"""What the tests want inside; bin/test has them installed, here and into a root that it makes."""


def _copy_checkout(container: Container) -> None:
    """Puts the sources where the installation inside finds them, without what git would ignore."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "clientportal.gw", "*.zip")
    shutil.copytree(ROOT, container.root / CHECKOUT.lstrip("/"), ignore=ignored, symlinks=True)


def _set_traps(container: Container) -> None:
    """Puts modules where the installation stands that Python would take for its own, or for those that it needs."""
    folder = container.root / HOSTILE.lstrip("/")
    folder.mkdir()
    for name in HOSTILE_MODULES:
        (folder / f"{name}.py").write_text(f"open({HOSTILE + '/ran'!r}, 'a').write({name + ' '!r})\n")


def _wheels(base: Path, folder: Path) -> Path:
    """Returns a folder of Python packages for the Python of the root file system `base`; it may be `folder`."""
    lock, here = ROOT / "requirements.lock", "/usr/bin/python3"
    if base == Path("/"):
        return wheelhouse(lock, here)
    version = (base / "usr/bin/python3").readlink().name.removeprefix("python")
    return wheels_for(lock, here, version, folder)


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine with `bin/install --simulator` done, once for all tests; `--machine-root` is its root."""
    base: Path = request.config.getoption("machine_root")
    if lacking := missing_needs(base, PROGRAMS):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {', '.join(lacking)}")
    wheels = _wheels(base, tmp_path_factory.mktemp("packages") / "wheels")
    gateway = distribution()
    with Container(base) as container:
        it = Machine(container)
        request.config.stash[MACHINE] = it
        versions = container.output(
            ". /etc/os-release; echo $PRETTY_NAME; systemctl --version | head -n 1; python3 --version"
        )
        it.about = ", ".join(versions.splitlines())
        it.times.append(("boot of the container", container.boot_s))
        _copy_checkout(container)
        container.copy_in(wheels, WHEELS)
        container.copy_in(gateway, DISTRIBUTION)
        _set_traps(container)
        container.run(noon_in_new_york(now()))
        with it.timed("bin/install --simulator, no network"):
            told = container.run(f"{IN_HOSTILE} {INSTALL}", timeout_s=240)
        print(told.stdout, told.stderr)
        yield it
        del request.config.stash[MACHINE]
        request.config.stash[TIMES] = it.times
        request.config.stash[ABOUT] = it.about


@pytest.fixture(scope="module", autouse=True)
def _same_configuration(machine: Machine) -> Iterator[None]:
    """Puts the configuration back after a file's tests: those of the next one find the installation's own."""
    before = machine.container.run(f"cat {CONFIG}", check=False)
    yield
    if before.returncode == 0 and machine.code(f"test -e {CONFIG}") == 0:
        machine.container.run(f"cat >{CONFIG}", stdin=before.stdout)


TIMES = pytest.StashKey[list[tuple[str, float]]]()
ABOUT = pytest.StashKey[str]()
CHAOS = pytest.StashKey[list[str]]()


@pytest.fixture
def up(machine: Machine) -> Machine:
    """The machine with a session that is up, the simulator without trouble, and a login budget that is whole."""
    machine.run("systemctl reset-failed 'ibkr-*' || true; systemctl start ibkr-gateway", timeout_s=90)
    machine.wait("the simulator", machine.simulator_answers, within_s=10)
    machine.control(lambda simulator: simulator.clear())
    # All tests together log in more often than `login.logins_a_day` allows.
    if machine.logins_of_a_day() > 12:
        machine.age_login_log(timedelta(days=1))
    if machine.state() != "up" or not machine.has_session():
        machine.run("ibkr-tools unlock")
    machine.start()
    return machine


@pytest.fixture
def people(up: Machine) -> Iterator[People]:
    """The machine with a session that is up, and with the accounts `outsider` and `member`."""
    up.run(
        "id outsider 2>/dev/null || useradd --create-home outsider; id member 2>/dev/null || useradd -M -G ibkr member"
    )
    up.run("systemctl reload ibkr-firewall")
    yield People(up)
    up.run(f"rm -rf {SHARED}/*; systemctl reset-failed 'ibkr-*' || true")


MOST_S = 1800
"""For one test with what it waits for: several times as much as on a quiet machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests here more time than the others."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(MOST_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Shows the end of the machine's journal with a failed test."""
    report = yield
    machine = item.config.stash.get(MACHINE, None)
    if machine is not None and report is not None and getattr(report, "failed", False):
        # The failure may be that of the container.
        with suppress(ContainerError):
            report.sections.append(("journal", machine.container.journal(lines=80)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints how long the machine took for what, and what chaos came to."""
    if lines := config.stash.get(CHAOS, []):
        terminalreporter.section("chaos")
        for line in lines:
            terminalreporter.write_line(line)
    times = config.stash.get(TIMES, [])
    if times:
        terminalreporter.section(f"measured on the booted machine: {config.stash.get(ABOUT, '')}")
        for what, seconds in times:
            terminalreporter.write_line(f"{seconds:8.2f} s  {what}")
        if summary := os.environ.get("IBKR_TOOLS_SYSTEM_TIMES"):
            Path(summary).write_text("".join(f"{seconds:.2f}\t{what}\n" for what, seconds in times))
