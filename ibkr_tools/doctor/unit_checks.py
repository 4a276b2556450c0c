"""The units: as they were shipped, known to systemd, not weakened, and running; and when the timers elapse."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.directories import SYSTEM_CONFIGURATION
from ibkr_tools.doctor import sandbox_rules, shipped_units, unit_settings
from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.subject import Extent, Subject, Told, ask
from ibkr_tools.installation import INSTALL_SERVICES, LAYOUT, PACKAGE
from ibkr_tools.instance import directory_of, plain_name_of, unit_of, unit_of_template

_FILES, _SANDBOX, _UNITS, _TIMERS = (Findings(name) for name in ("unit files", "sandbox", "units", "timers"))

GATEWAY, FLEX_TIMER = "ibkr-gateway.service", "ibkr-flex.timer"
FOLLOWERS = (
    *("ibkr-firewall.service", "ibkr-watchdog.service", "ibkr-login.path", "ibkr-snapshot.path", "ibkr-alert.path"),
    "ibkr-relay.socket",
)
"""Units that are active while the gateway is up."""

_CGROUP = Path("/sys/fs/cgroup/cgroup.controllers")
"""Is there where the kernel's second version of control groups is mounted."""

_ONCE = (
    *("ibkr-fetch.service", "ibkr-snapshot.service", "ibkr-flex.service", "ibkr-metrics.service", "ibkr-alert.service"),
)
"""Units that do something once, and say in the journal why they could not."""

_FIRST_OWN_CODE = 200
"""Exit codes from here on are systemd's: the program was not even started; see systemd.exec(5)."""

_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "Result", "ExecMainStatus"),
    *("NextElapseUSecRealtime", "LastTriggerUSec", "Environment"),
)

_PACKAGE_STATE = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", "ibkr-tools"]


def installed_units(subject: Subject) -> list[str]:
    """Returns the names of the units that are installed, templates too; of an instance, those of the plain units."""
    names = _unit_files(subject)
    return names if subject.instance is None else sorted(map(plain_name_of, names))


def _unit_files(subject: Subject) -> list[str]:
    kinds = {".service", ".socket", ".path", ".timer"}
    return sorted(path.name for path in subject.shipped if path.parent == LAYOUT.units and path.suffix in kinds)


def check_files(subject: Subject) -> Iterator[Finding]:
    """Compares every file that was put into the folders of systemd with what this version ships."""
    folder = shipped_units.shipped_folder()
    if folder is None:
        yield _FILES.fault("the installation is incomplete: it has no units to compare with", LAYOUT.reinstall)
        return
    if not subject.is_installed:
        yield _FILES.ok("no services are installed")
        return
    sources = shipped_units.targets(folder)
    problems = list[tuple[Path, str]]()
    for target in sorted(subject.shipped & sources.keys()):
        try:
            entry, data = target.lstat(), target.read_bytes()
        except FileNotFoundError:
            problems.append((target, "is missing"))
            continue
        except OSError as error:
            problems.append((target, f"cannot be read ({error.strerror})"))
            continue
        if data != LAYOUT.adapted(sources[target].read_bytes()):
            problems.append((target, "is not what was installed"))
        elif entry.st_uid != 0 or entry.st_mode & 0o022 or (entry.st_mode & 0o444) < 0o444:  # noqa: PLR2004  # read by all
            problems.append((target, "should be root's, readable for all and writable for nobody else"))
    for target, what in problems:
        restore = shipped_units.restore_command(sources[target], target)
        yield _FILES.fault(f"{target} {what}", f"{restore} && sudo systemctl daemon-reload")
    changed = list(_changed_templates(subject, sources))
    yield from changed
    if not problems and not changed:
        count = len(subject.shipped if subject.instance else subject.shipped & sources.keys())
        yield _FILES.ok(f"{count} files as they were shipped")


def _changed_templates(subject: Subject, sources: Mapping[Path, Path]) -> Iterator[Finding]:
    """Yields what is wrong with the files that bin/install has made of the shipped ones for an instance."""
    for target in sorted(subject.shipped - sources.keys()) if subject.instance else ():
        if what := _made_problem(target):
            yield _FILES.fault(f"{target} {what}", LAYOUT.reinstall)


def _made_problem(target: Path) -> str:
    """Says what is wrong with a file that bin/install has made for instances; empty: nothing."""
    try:
        entry = target.lstat()
        installed_at = LAYOUT.stamp.stat().st_mtime if LAYOUT.stamp.exists() else None
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not target.is_file() or not entry.st_size:
        return "is not what was installed"
    if entry.st_uid != 0 or entry.st_mode & 0o022 or (entry.st_mode & 0o444) < 0o444:  # noqa: PLR2004  # read by all
        return "should be root's, readable for all and writable for nobody else"
    is_template = target.is_relative_to(LAYOUT.units)
    if is_template and installed_at is not None and entry.st_mtime > installed_at + _INSTALLING_S:
        return "was changed after the installation"
    return ""


_INSTALLING_S = 5.0
"""The list of what is installed is finished before the last file is, by less than this."""


def check_sandbox(subject: Subject) -> Iterator[Finding]:
    """Compares the settings of every unit, with all its drop-ins, with the shipped ones; one line for each file."""
    folder = shipped_units.shipped_folder()
    if folder is None or not subject.is_installed:
        yield _SANDBOX.ok("no services are installed")
        return
    sources = shipped_units.targets(folder)
    # What was removed of ours, or changed, is told by the check of the files.
    ours = sources.keys() & subject.shipped
    present = {target: LAYOUT.adapted(sources[target].read_bytes()).decode() for target in ours}
    if subject.instance is not None:
        made = [path for path in subject.shipped - sources.keys() if path.is_relative_to(LAYOUT.units)]
        present |= dict(zip(made, unit_settings.read_files(made), strict=True))
    found: dict[tuple[Path, ...], list[tuple[str, sandbox_rules.Weakening]]] = {}
    units = _unit_files(subject)
    if subject.instance is not None:
        units = [unit_of_template(unit, subject.instance) for unit in units]
    for unit in units:
        for weak, culprits in _weakened_settings(unit, present):
            found.setdefault(culprits, []).append((unit, weak))
    if subject.is_booted and not _CGROUP.exists():
        yield _SANDBOX.notice("systemd ignores IPAddressDeny= on this machine: it has no cgroup v2")
    for culprits, weakened in found.items():
        yield _judge_weakened(culprits, weakened)
    if not found:
        yield _SANDBOX.ok("no drop-in takes anything from the sandboxes")


def _weakened_settings(
    unit: str, present: Mapping[Path, str]
) -> Iterator[tuple[sandbox_rules.Weakening, tuple[Path, ...]]]:
    """Yields each weakened setting of a unit, and the files that did it; `present`: the texts of our own."""
    shipped = [path for path in unit_settings.unit_files(unit, (LAYOUT.units,)) if path in present]
    files = unit_settings.unit_files(unit)
    # One that is masked as a whole does not run at all.
    if not shipped or not files or files[0].suffix == ".conf":
        return
    texts = {path: present.get(path) or text for path, text in zip(files, unit_settings.read_files(files), strict=True)}
    before = unit_settings.settings_of(present[path] for path in shipped)
    for weak in sandbox_rules.weakenings(before, unit_settings.settings_of(texts.values())):
        yield weak, tuple(_culprits(unit, weak, texts, set(present)))


def _culprits(unit: str, weak: sandbox_rules.Weakening, texts: Mapping[Path, str], ours: set[Path]) -> list[Path]:
    """Returns the files that are not ours and say so, or stand in the place of one that is ours."""
    found = [
        path
        for path, text in texts.items()
        if path not in ours and any(key == weak.key for key, _ in unit_settings.assignments(text))
    ]
    if found:
        return found
    names = {path.name for path in ours if path.parent.name in unit_settings.drop_in_folders(unit)} | {unit}
    folders = ["", *unit_settings.drop_in_folders(unit)]
    candidates = [place / folder / name for place in unit_settings.UNIT_PATHS for folder in folders for name in names]
    return [path for path in candidates if path not in ours and (path.is_symlink() or path.exists())]


def _judge_weakened(culprits: Sequence[Path], weakened: Sequence[tuple[str, sandbox_rules.Weakening]]) -> Finding:
    """Returns what one file, or several together, take from the sandboxes."""
    units = list(dict.fromkeys(unit for unit, _ in weakened))
    settings = list(dict.fromkeys(weak.key[1] for _, weak in weakened))
    more = f" and {len(settings) - 1} more settings" if len(settings) > 1 else ""
    of_others = f" and of {len(units) - 1} more units" if len(units) > 1 else ""
    value = weakened[0][1].value
    message = (f"{units[0]}: {settings[0]}={more} less strict than shipped{of_others}: ", Private(value))
    if all(weak.is_offered for _, weak in weakened):
        return _SANDBOX.notice(message)
    if not culprits:
        return _SANDBOX.fault(message, LAYOUT.reinstall)
    moves = [f"sudo mv {shlex.quote(str(path))} {shlex.quote(f'{path}.off')}" for path in culprits]
    names = " ".join(f"'{unit.replace('@.', '@*.')}'" if "@" in unit else unit for unit in units)
    commands = [*moves, "sudo systemctl daemon-reload", f"sudo systemctl try-restart {names}"]
    return _SANDBOX.fault(message, Private(" && ".join(commands)))


@dataclass(frozen=True, kw_only=True)
class UnitState:
    """What systemd says of a unit."""

    name: str
    load: str
    active: str
    enabled: str
    result: str = "success"
    exit_status: int = 0
    needs_reload: bool = False
    next_elapse: str = ""
    environment: str = ""


def read_states(names: list[str], instance: str | None = None) -> dict[str, UnitState]:
    """Asks systemd about the units of an instance; nothing where it does not answer. The keys are the plain names."""
    words = [
        unit_of_template(name, instance or "doctor") if "@." in name else unit_of(name, instance) for name in names
    ]
    told = ask(
        ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *words],
        {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if told.status != 0:
        return {}
    states = {}
    for name, block in zip(names, told.output.strip().split("\n\n"), strict=False):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        states[name] = UnitState(
            name=name,
            load=values.get("LoadState", ""),
            active=values.get("ActiveState", ""),
            enabled=values.get("UnitFileState", ""),
            result=values.get("Result", "success"),
            exit_status=int(values.get("ExecMainStatus") or 0),
            needs_reload=values.get("NeedDaemonReload") == "yes",
            next_elapse=values.get("NextElapseUSecRealtime", ""),
            environment=values.get("Environment", ""),
        )
    return states


def judge_states(states: Mapping[str, UnitState], extent: Extent) -> Iterator[Finding]:
    """Yields what is wrong with how the units are."""
    problems = [*_definitions(states), *_activity(states, extent)]
    yield from problems
    if not problems:
        active = sum(state.active == "active" for state in states.values())
        yield _UNITS.ok(f"{len(states)} units, {active} active")


def _definitions(states: Mapping[str, UnitState]) -> Iterator[Finding]:
    for name, state in states.items():
        if state.load == "masked":
            yield _UNITS.fault(f"{name} is masked", f"sudo systemctl unmask {name}")
        elif state.load not in {"loaded", ""}:
            yield _UNITS.fault(f"{name} cannot be loaded ({state.load})", f"systemd-analyze verify {name}")
    if stale := [name for name, state in states.items() if state.needs_reload and state.load == "loaded"]:
        yield _UNITS.fault(f"systemd has not read {_list(stale)} since it was changed", "sudo systemctl daemon-reload")


def _activity(states: Mapping[str, UnitState], extent: Extent) -> Iterator[Finding]:
    main = GATEWAY if extent is Extent.FULL else FLEX_TIMER
    failed = [state for state in states.values() if state.active == "failed" and not _is_no_news(state)]
    # What a failed unit takes down with it is told by that unit.
    for state in sorted(failed, key=lambda state: (state.name != "ibkr-firewall.service", state.name != GATEWAY)):
        how = f"exit code {state.exit_status}" if state.result == "exit-code" else state.result
        # The filter comes with the gateway; of the others none needs the session's end.
        unit = GATEWAY if state.name == "ibkr-firewall.service" else state.name
        remedy = f"sudo systemctl reset-failed {state.name} && sudo systemctl restart {unit}"
        if state.name.endswith(_ONCE):
            remedy = f"journalctl -n 20 -u {state.name}; sudo systemctl restart {state.name}"
        yield _UNITS.fault(f"{state.name} has failed ({how})", remedy)
    if main not in states or states[main].load != "loaded":
        return
    state = states[main]
    if state.enabled not in {"enabled", "enabled-runtime", "static", "linked", "alias"}:
        yield _UNITS.notice(f"{main} does not start at the boot ({state.enabled})", f"sudo systemctl enable {main}")
    if state.active in {"inactive", "deactivating"}:
        yield _UNITS.notice(f"{main} does not run", f"sudo systemctl start {main}")
    if state.active == "active" and extent is Extent.FULL:
        broken = {name for name, state in states.items() if state.load != "loaded" or state.active == "failed"}
        down = [
            name
            for name in FOLLOWERS
            if name in states and states[name].active not in {"active", "activating"} and name not in broken
        ]
        if down:
            yield _UNITS.fault(f"{_list(down)} should run with the gateway", f"sudo systemctl start {' '.join(down)}")


def judge_timers(states: Mapping[str, UnitState], extent: Extent) -> Iterator[Finding]:
    """Yields when the timers elapse next; an enabled one that does not run never does."""
    gateway_runs = states.get(GATEWAY) is not None and states[GATEWAY].active == "active"
    for name, state in states.items():
        if not name.endswith(".timer") or state.enabled != "enabled":
            continue
        is_due = gateway_runs or name == FLEX_TIMER
        if state.active == "active" and state.next_elapse:
            yield _TIMERS.ok(f"{name}: next on {state.next_elapse}")
        elif state.active == "active":
            yield _TIMERS.fault(f"{name} will never elapse", f"systemctl cat {name}")
        elif is_due and state.load == "loaded" and state.active != "failed" and extent is Extent.FULL:
            yield _TIMERS.fault(f"{name} is enabled and does not run", f"sudo systemctl start {name}")


def _is_no_news(state: UnitState) -> bool:
    """Says whether a failure is no news.

    The watchdog asks for another login, and the status says how one ended; who has asked for a snapshot was told.
    """
    is_ours = state.result != "exit-code" or state.exit_status < _FIRST_OWN_CODE
    return state.name in {"ibkr-login.service", "ibkr-snapshot.service"} and is_ours


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def check_manifest(subject: Subject) -> Iterator[Finding]:
    """Looks whether an installation is whole, or there is none."""
    program = LAYOUT.home / "venv/bin/ibkr-tools"
    if subject.is_installed:
        if LAYOUT is PACKAGE:
            yield from judge_package(ask(_PACKAGE_STATE, {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}))
        elif not LAYOUT.stamp.exists():
            yield _FILES.fault("the last installation was not finished", INSTALL_SERVICES)
        if LAYOUT.link in subject.shipped and LAYOUT.link.resolve() != program.resolve():
            repair = f"sudo ln -sfnT {program} {LAYOUT.link}"
            yield _FILES.fault(f"{LAYOUT.link} does not lead to what was installed", repair)
    elif LAYOUT.units.joinpath(GATEWAY).exists() and subject.directories.configuration == directory_of(
        SYSTEM_CONFIGURATION, subject.instance
    ):
        lost = f"{LAYOUT.manifest}, the list of what was installed, is missing or damaged"
        yield _FILES.fault(lost, LAYOUT.reinstall if LAYOUT is PACKAGE else INSTALL_SERVICES)


def judge_package(told: Told) -> Iterator[Finding]:
    """Yields that dpkg has not finished with the package; `told`: what it says of its state, see dpkg(1)."""
    if told.status == 0 and told.output.strip() != "installed":
        yield _FILES.fault(f"dpkg has the package as {told.output.strip()}", "sudo dpkg --configure ibkr-tools")
