"""The unit files: systemd reads them without a complaint, and their sandboxes keep the scores they were built for."""

import configparser
import re
from datetime import timedelta
from pathlib import Path

from ibkr_tools.boot_id import BOOT_ID_VARIABLE
from ibkr_tools.cli.member_fetch import ANSWERED_WITHIN_S
from ibkr_tools.config.secrets import (
    DATABASE_CREDENTIAL,
    PASSWORD_CREDENTIAL,
    SECRET_FILES,
    TOKEN_CREDENTIAL,
    TOTP_CREDENTIAL,
)
from ibkr_tools.directories import SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE, Directories
from ibkr_tools.errors import DataError, IbkrError, OutputError
from ibkr_tools.flex.flex_task import LONG_FAILURE
from ibkr_tools.login.network_isolation import GATEWAY_SOCKET
from ibkr_tools.login.timeout_extender import EXTEND_INTERVAL_S, EXTENSION_S
from ibkr_tools.services import SERVICES as PROCESSES
from ibkr_tools.supervisor import STOP_TIMEOUT_S
from ibkr_tools.watchdog.__main__ import WATCHDOG_MAX_CALL_S
from ibkr_tools.watchdog.push_health import LOSS_ANNOUNCED_WITHIN_S
from ibkr_tools.watchdog.status_writer import HEARTBEAT_INTERVAL_S
from tests.support.unit_files import FILES as UNITS
from tests.support.unit_files import SANDBOX, SERVICES, SYSTEMD, Unit, directives, unit


def test_stopping_the_gateway_stops_everything() -> None:
    """Each unit goes down with the gateway: by PartOf=, or because nobody needs it any more, or by itself."""
    # A message that is being delivered is delivered to its end, and then that unit is gone too.
    others = {"ibkr-gateway.service", "ibkr-alert.service", "ibkr-alert@.service"}
    # Statements need no gateway, and have a timer of their own; the metrics say too that it has stopped.
    others |= {"ibkr-flex.service", "ibkr-flex.timer", "ibkr-metrics.service", "ibkr-metrics.timer"}
    for candidate in (Unit(path) for path in UNITS if path.name not in others):
        goes = "ibkr-gateway.service" in candidate.all("PartOf") or candidate.values.get("StopWhenUnneeded") == ["yes"]
        assert goes, candidate.name


def test_the_first_login_does_not_wait_for_java() -> None:
    """Watchdog, request and login start beside the gateway; what needs its answer waits for that by itself."""
    for name in ("ibkr-watchdog.service", "ibkr-login.path", "ibkr-login.service", "ibkr-alert.path"):
        assert "ibkr-gateway.service" not in unit(name).all("After"), name


def test_starting_the_gateway_starts_everything() -> None:
    """`systemctl start ibkr-gateway` is all a person has to know."""
    gateway = unit("ibkr-gateway.service")
    wanted = {"ibkr-watchdog.service", "ibkr-login.path", "ibkr-snapshot.path", "ibkr-alert.path", "ibkr-relay.socket"}
    assert wanted <= set(gateway.all("Wants"))
    assert gateway.all("Requires") == ["ibkr-firewall.service"]
    assert gateway.all("WantedBy") == ["multi-user.target"]


def test_nothing_waits_for_the_gateway_before_it_may_start() -> None:
    """Path, timer and socket are part of basic.target by default, and the gateway comes after that: a cycle at boot."""
    for path in UNITS:
        candidate = Unit(path)
        if path.suffix in {".path", ".timer", ".socket"} and "ibkr-gateway.service" in candidate.all("After"):
            assert candidate.one("DefaultDependencies") == "no", path.name
            assert "shutdown.target" in candidate.all("Conflicts"), path.name


def test_each_secret_goes_to_one_unit() -> None:
    """Its credential is the one that the configuration reads: the login's two, and two of the statements' unit."""
    by_unit = {
        "ibkr-login.service": {PASSWORD_CREDENTIAL: "password", TOTP_CREDENTIAL: "totp"},
        "ibkr-flex.service": {TOKEN_CREDENTIAL: "flex-token", DATABASE_CREDENTIAL: "database-password"},
    }
    for path in SERVICES:
        credentials = Unit(path).values.get("LoadCredential", [])
        files = by_unit.get(path.name, {})
        assert credentials == [f"{name}:/etc/ibkr-tools/{file}" for name, file in files.items()], path.name
        # Without the file the unit must still start.
        assert Unit(path).values.get("SetCredential", []) == [f"{name}:\\n" for name in files], path.name


def test_nothing_secret_stands_in_an_environment() -> None:
    """Anybody may read a unit's Environment=: only what is no secret stands there."""
    found = {path.name: values for path in SERVICES if (values := Unit(path).values.get("Environment", []))}
    boot_id = f"{BOOT_ID_VARIABLE}=%b"
    assert found == {
        "ibkr-fetch.service": [boot_id],
        "ibkr-flex.service": [boot_id],
        "ibkr-gateway.service": ["IBKR_TOOLS_PACKET_FILTER=required"],
        "ibkr-metrics.service": [boot_id],
        "ibkr-snapshot.service": [boot_id],
        "ibkr-watchdog.service": [boot_id],
        "ibkr-login.service": [boot_id, "SE_OFFLINE=true", f"{GATEWAY_SOCKET}=/run/ibkr-gateway.sock"],
    }
    for path in SERVICES:
        # Nor is a file of one made in a directory that others write: systemd would read it as root.
        assert "EnvironmentFile" not in Unit(path).values, path.name


def test_only_the_firewall_is_root() -> None:
    """Every service has the user ibkr, but the one that loads the packet filter."""
    assert [path.name for path in SERVICES if Unit(path).values.get("User") != ["ibkr"]] == ["ibkr-firewall.service"]
    assert unit("ibkr-firewall.service").all("CapabilityBoundingSet") == ["CAP_NET_ADMIN"]
    # What only root may read is out of its sight.
    hidden = unit("ibkr-firewall.service").all("InaccessiblePaths")
    assert {"-/etc/ibkr-tools/password", "-/etc/ibkr-tools/totp"} <= set(hidden)


def test_only_the_gateway_sees_its_private_key() -> None:
    """Whoever has the key can play the gateway: no other unit sees it, and no member."""
    place = Directories(configuration=SYSTEM_CONFIGURATION, runtime=SYSTEM_RUNTIME, state=SYSTEM_STATE).private
    hiding = {f"-{directory}" for directory in (place, *place.parents)}
    seeing = {path.name for path in SERVICES if not hiding & set(" ".join(Unit(path).all("InaccessiblePaths")).split())}
    assert seeing == {"ibkr-gateway.service"}
    lines = (SYSTEMD / "tmpfiles.d/ibkr-tools.conf").read_text().splitlines()
    assert f"d {place} 0700 ibkr ibkr -" in lines


def test_a_directory_is_hidden_from_the_units_that_do_not_need_it() -> None:
    """The login has the browser's profile and the login log, two units write snapshots, one makes the history."""
    place = Directories(configuration=SYSTEM_CONFIGURATION, runtime=SYSTEM_RUNTIME, state=SYSTEM_STATE)
    login, fetch, flex, metrics = {"ibkr-login"}, {"ibkr-fetch", "ibkr-snapshot"}, {"ibkr-flex"}, {"ibkr-metrics"}
    needed_by = {place.browser: login, place.login: login | metrics, place.snapshots: fetch | flex | metrics}
    needed_by |= dict.fromkeys((place.statements, place.history.parent), flex)
    for directory, needing in needed_by.items():
        hiding = {f"-{directory}", f"-{SYSTEM_STATE}"}
        seeing = {path.stem for path in SERVICES if not hiding & set(Unit(path).all("InaccessiblePaths"))}
        assert seeing == needing, directory


def test_the_unit_with_the_token_has_nothing_else_of_ours() -> None:
    """Neither a secret nor a directory, but for the statements and the history, and to read what was saved.

    The budget is among the statements.
    """
    place = Directories(configuration=SYSTEM_CONFIGURATION, runtime=SYSTEM_RUNTIME, state=SYSTEM_STATE)
    hidden = set(unit("ibkr-flex.service").all("InaccessiblePaths"))
    assert {f"-{SYSTEM_CONFIGURATION}/{name}" for name in SECRET_FILES} <= hidden
    assert f"-{place.snapshots}" in unit("ibkr-flex.service").all("ReadOnlyPaths")
    assert {f"-{path}" for path in (place.gateway, place.browser, place.login, place.shared)} <= hidden
    assert place.flex_budget.parent == place.statements


def test_the_unit_that_is_root_sees_no_secret() -> None:
    """Whoever is nobody's in particular may read every file, whatever its mode."""
    (as_root,) = [path for path in SERVICES if not Unit(path).all("User")]
    hidden = set(Unit(as_root).all("InaccessiblePaths"))
    assert {f"-{SYSTEM_CONFIGURATION}/{name}" for name in SECRET_FILES} <= hidden


def test_files_with_secrets_are_roots_alone_and_go_with_the_installation() -> None:
    lines = (SYSTEMD / "tmpfiles.d/ibkr-tools.conf").read_text().splitlines()
    assert {f"z {SYSTEM_CONFIGURATION}/{name} 0600 root root -" for name in SECRET_FILES} <= set(lines)
    purge = (SYSTEMD.parent / "bin/_purge.sh").read_text()
    (names,) = re.findall(r"^readonly CONFIG_NAMES=\((.*)\)$", purge, re.MULTILINE)
    assert set(names.split()) == {"config.json", *SECRET_FILES}
    keys = set(re.search(r"keys = \((.*)\)", purge)[1].replace('"', "").split(", "))  # type: ignore[index]
    assert keys >= {"login.password_file", "login.second_factor.totp_file", "history.password_file"}


def test_statements_are_asked_for_again_until_they_are_there() -> None:
    """Every half an hour for half a day, and afresh on the next one; a refusal is never repeated."""
    flex = unit("ibkr-flex.service")
    assert flex.one("Restart") == "on-failure"
    assert flex.one("RestartSec") == "30min"
    never = {2, DataError.exit_code, 69, IbkrError.exit_code, OutputError.exit_code, 77, 78}
    assert {int(code) for code in flex.all("RestartPreventExitStatus")} == never
    assert int(flex.one("StartLimitBurst")) * 0.5 < 24 - int(flex.one("StartLimitIntervalSec").removesuffix("h")) / 2
    assert timedelta(hours=int(flex.one("StartLimitBurst")) / 2) > LONG_FAILURE
    timer = unit("ibkr-flex.timer")
    assert (timer.one("OnCalendar"), timer.one("Persistent")) == ("*-*-* 11:30 UTC", "yes")
    assert timer.all("WantedBy") == ["timers.target"]


def test_no_unit_changes_the_program_that_the_gateway_runs() -> None:
    """Installing is what a person does; who has the state directory and is taken over cannot change Java's program."""
    place = Directories(configuration=SYSTEM_CONFIGURATION, runtime=SYSTEM_RUNTIME, state=SYSTEM_STATE)
    for path in (path for path in SERVICES if "StateDirectory" in Unit(path).values):
        kept = [line for key in ("ReadOnlyPaths", "InaccessiblePaths") for line in Unit(path).all(key)]
        kept = " ".join(kept).split()
        for precious in (place.gateway / "clientportal.gw", place.accepted_builds, place.class_archive):
            assert {f"-{precious}", f"-{place.gateway}"} & set(kept), path.name


def test_the_sandbox_stands_once() -> None:
    """No unit repeats what the drop-in of all services sets, nor tries to loosen it where systemd would not listen."""
    shared = {key for key, _ in directives(SANDBOX)}
    assert len(shared) > 30
    repeated = {(path.name, key) for path in SERVICES for key, _ in directives(path) if key in shared}
    # Additions to a list.
    assert repeated == {("ibkr-login.service", "ExecPaths"), ("ibkr-alert.service", "ExecPaths")}


def test_the_drop_in_of_all_services_only_takes_away() -> None:
    """It applies to units of other people too, whose names begin alike: it gives them no user and no directory."""
    shared = {key for key, _ in directives(SANDBOX)}
    assert not {key for key in shared if key in {"User", "Group"} or key.endswith(("Directory", "DirectoryMode"))}
    assert not shared & {"Environment", "LoadCredential", "BindPaths", "ReadWritePaths", "IPAddressAllow"}


def test_up_runs_what_the_gateway_pulls_in() -> None:
    """`ibkr-tools up` starts the same programs by the same files, without a relay: the login makes its own network."""
    pulled = {Path(name).stem for name in unit("ibkr-gateway.service").all("Wants") if name.startswith("ibkr-")}
    assert {f"ibkr-{process.name}" for process in PROCESSES} == {"ibkr-gateway", *pulled} - {"ibkr-relay"}
    place = Directories(configuration=SYSTEM_CONFIGURATION, runtime=SYSTEM_RUNTIME, state=SYSTEM_STATE)
    for process in PROCESSES:
        program, *words = unit(f"ibkr-{process.name}.service").command
        written = ["-I", "-m", "ibkr_tools", *words] if program == "ibkr-tools" else words
        assert written == ["-I", "-m", process.module, *process.arguments]
        path = SYSTEMD / f"ibkr-{process.name}.path"
        assert path.exists() == (process.request is not None)
        if process.request is not None:
            watched = Unit(path).all("PathExists") + Unit(path).all("PathExistsGlob")
            # A glob of systemd's passes over names that begin with a dot, as the table's says.
            assert watched == [str(process.request(place)).replace("[!.]*", "*")]


def test_directories_are_the_ones_the_program_expects() -> None:
    """Units, tmpfiles.d and program mean the same places, with the same modes."""
    lines = [line.split() for line in (SYSTEMD / "tmpfiles.d/ibkr-tools.conf").read_text().splitlines()]
    modes = {line[1]: line[2] for line in lines if line and line[0] == "d"}
    for path in SERVICES:
        service = Unit(path)
        if "RuntimeDirectory" not in service.values:
            assert path.name in {"ibkr-simulator.service", "ibkr-firewall.service", "ibkr-relay.service"}
            continue
        assert f"/etc/{service.one('ConfigurationDirectory')}" == str(SYSTEM_CONFIGURATION)
        assert f"/run/{service.one('RuntimeDirectory')}" == str(SYSTEM_RUNTIME)
        assert f"/var/lib/{service.one('StateDirectory')}" == str(SYSTEM_STATE)
        assert service.one("ConfigurationDirectoryMode") == modes[str(SYSTEM_CONFIGURATION)]
        assert service.one("RuntimeDirectoryMode") == modes[str(SYSTEM_RUNTIME)]
        assert service.one("StateDirectoryMode") == modes[str(SYSTEM_STATE)]
        # The first unit to stop would take the directory away from the others.
        assert service.one("RuntimeDirectoryPreserve") == "yes"
    request = unit("ibkr-login.path").one("PathExists")
    assert request == str(SYSTEM_RUNTIME / "login.request")
    outbox = Directories(configuration=SYSTEM_CONFIGURATION, runtime=SYSTEM_RUNTIME, state=SYSTEM_STATE).outbox
    assert unit("ibkr-alert.path").one("PathExistsGlob") == str(outbox / "*.json")
    assert modes[str(outbox)] == "0700"


def test_the_group_writes_in_one_directory_and_the_others_nowhere() -> None:
    """What a member may write there is a request budget, and hints; never a command."""
    declared = [line.split() for line in (SYSTEMD / "tmpfiles.d/ibkr-tools.conf").read_text().splitlines()]
    modes = {path: int(mode, 8) for kind, path, mode, *_ in (line for line in declared if line and line[0] == "d")}
    shared = SYSTEM_STATE / "shared"
    assert {path for path, mode in modes.items() if mode & 0o020} == {str(shared)}
    # What is written there is for node_exporter, and without the account's figures for anybody.
    assert {path for path, mode in modes.items() if mode & 0o007} == {"/run/ibkr-tools-metrics"}
    assert modes["/run/ibkr-tools-metrics"] == 0o755
    # Set-group-ID: what one member writes, the others and the units can replace.
    assert modes[str(shared)] == 0o2770


def test_a_login_that_hangs_is_ended_soon() -> None:
    """The unit gives a login time to begin; then its pulse asks for more, and systemd listens."""
    login = unit("ibkr-login.service")
    assert login.one("NotifyAccess") == "main"
    assert 2 * EXTEND_INTERVAL_S < int(login.one("TimeoutStartSec")) <= 30
    assert 2 * EXTEND_INTERVAL_S < EXTENSION_S <= 15


def test_a_call_of_the_watchdog_that_hangs_is_no_hung_process() -> None:
    """With two seconds of air for the locks of the rate limiter."""
    watchdog = unit("ibkr-watchdog.service")
    limit_s = WATCHDOG_MAX_CALL_S + 2.0
    assert limit_s > HEARTBEAT_INTERVAL_S
    assert limit_s < int(watchdog.one("WatchdogSec"))
    assert limit_s < int(watchdog.one("TimeoutStopSec"))
    assert limit_s < LOSS_ANNOUNCED_WITHIN_S
    stop_timeouts_s = [int(unit(f"ibkr-{process.name}.service").one("TimeoutStopSec")) for process in PROCESSES]
    assert max(stop_timeouts_s) == STOP_TIMEOUT_S


def test_no_machine_retries_what_only_a_person_can_mend() -> None:
    """Exit codes 2, 77 and 78 end the restarts; the login is never restarted by systemd at all."""
    assert "Restart" not in unit("ibkr-login.service").values
    assert set(unit("ibkr-gateway.service").all("RestartPreventExitStatus")) == {"2", "78"}
    assert set(unit("ibkr-watchdog.service").all("RestartPreventExitStatus")) == {"2", "78"}
    never = {2, DataError.exit_code, IbkrError.exit_code, OutputError.exit_code, 77, 78}
    assert {int(code) for code in unit("ibkr-fetch.service").all("RestartPreventExitStatus")} == never


def test_what_members_ask_for_is_the_snapshot_of_the_timer_and_disturbs_nothing() -> None:
    """In the same sandbox, once, and by a path unit that no start limit makes deaf: the watchdog limits how often."""
    asked, timed = unit("ibkr-snapshot.service"), unit("ibkr-fetch.service")
    assert asked.one("StartLimitIntervalSec") == "0"
    assert not {"Restart", "OnFailure", "StartLimitBurst"} & asked.values.keys()
    own = {"Description", "StartLimitIntervalSec", "ExecStart", "SyslogIdentifier"}
    timers = {"OnFailure", "StartLimitBurst", "Restart", "RestartSec", "RestartPreventExitStatus"}
    same = timed.values.keys() - own - timers
    assert asked.values.keys() == same | own
    assert {key: asked.values[key] for key in same} == {key: timed.values[key] for key in same}
    assert asked.one("TimeoutStartSec") == "10min"
    assert timedelta(minutes=10).total_seconds() + int(asked.one("TimeoutStopSec")) < ANSWERED_WITHIN_S


def test_failed_units_are_told() -> None:
    """Every service's failure is told to a person, unless somebody else tells it or nobody needs to know."""
    told = {path.name for path in UNITS if Unit(path).values.get("OnFailure") == ["ibkr-alert@%n.service"]}
    assert {path.name for path in SERVICES} - told == {
        # The watchdog tells how logins end.
        *("ibkr-login.service", "ibkr-relay.service"),
        # Who has asked for the snapshot is told.
        "ibkr-snapshot.service",
        # The chain ends here.
        *("ibkr-alert.service", "ibkr-alert@.service"),
        "ibkr-simulator.service",
    }
    assert all("OnFailure" not in Unit(path).values for path in UNITS if path.name not in told)
    template = unit("ibkr-alert@.service")
    assert "Restart" not in template.values
    # What it puts is delivered after it, whether or not a path unit watches.
    assert template.all("Wants") == template.all("Before") == ["ibkr-alert.service"]


def test_who_reaches_the_network() -> None:
    """The gateway, what fetches statements, and the command that tells a person; everybody else: this machine only."""
    free = {path.name for path in SERVICES if Unit(path).values.get("IPAddressDeny") != ["any"]}
    assert free == {"ibkr-gateway.service", "ibkr-flex.service", "ibkr-alert.service"}
    # None that they know of wants to reach many at once.
    assert unit("ibkr-flex.service").values["IPAddressDeny"] == ["multicast"]


def test_the_login_is_alone_in_its_network() -> None:
    """Its one way out is the socket of the relay, which only ibkr may use and which lies where only root may write."""
    login, relay = unit("ibkr-login.service"), unit("ibkr-relay.socket")
    assert login.one("PrivateNetwork") == "yes"
    (path,) = [line.partition("=")[2] for line in login.values["Environment"] if line.startswith(GATEWAY_SOCKET)]
    assert relay.one("ListenStream") == path
    assert Path(path).parent == Path("/run")
    assert (relay.one("SocketUser"), relay.one("SocketMode")) == ("ibkr", "0600")
    # It goes with the gateway, also from the file system: a login then is refused, and not left hanging.
    assert relay.one("RemoveOnStop") == "yes"
    assert {"ibkr-gateway.service"} <= set(relay.all("After")) & set(relay.all("PartOf"))


def test_sections_are_well_formed() -> None:
    """Every file has a header that says not to edit it, and no directive stands outside a section."""
    for path in UNITS:
        text = path.read_text()
        assert f"systemctl edit {path.name}" in text
        parser = configparser.RawConfigParser(strict=False, allow_no_value=False, interpolation=None)
        parser.read_string(text)
        assert parser.has_option("Unit", "Description")
        assert parser.get("Unit", "Documentation").startswith("https://")
