"""The templates that bin/install makes of the units, for several IBKR users on one machine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.directories import SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE
from ibkr_tools.doctor import shipped_units
from ibkr_tools.gateway.firewall import table_name
from ibkr_tools.instance import INSTANCE_VARIABLE, UNITS, directory_of, plain_name_of, unit_of
from tests.process.test_units import DEFAULT_EXPOSURE, EXPOSURE, VENV_PROGRAM, needs_systemd
from tests.support.checkout import CHECKOUT
from tests.support.unit_files import FILES, SANDBOX, SYSTEMD, directives, unit

NAME = "anna"
SOURCES = [path for path in FILES if "@" not in path.name and path.stem != "ibkr-simulator"]


def bash(script: str) -> "subprocess.CompletedProcess[str]":
    """Runs a script that has the functions of bin/install."""
    parts = "".join(
        f"source {CHECKOUT}/bin/_{part}.sh\n" for part in ("common", "installed", "purge", "instance", "templates")
    )
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{parts}{script}"], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with everything that is made for an instance."""
    folder = tmp_path_factory.mktemp("made")
    done = bash(f"make_instance_files {folder} {NAME}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def instantiated(text: str) -> str:
    """Returns the lines of a template as systemd reads them for the instance."""
    return text.replace("%i", NAME)


def settings(path: Path) -> list[tuple[str, str]]:
    """Returns what a template sets, for the instance."""
    return [(key, instantiated(value)) for key, value in directives(path)]


def made_of(path: Path, made: Path) -> Path:
    """Returns the template that is made of a plain unit."""
    name, _, kind = unit_of(path.name, "x").partition("@x")
    return made / f"{name}@{kind}"


def test_every_unit_but_the_simulator_has_a_template(made: Path) -> None:
    """And one more for each unit whose failure is told, which systemd passes on to a single handler only."""
    expected = {made_of(path, made).name for path in SOURCES}
    failing = {path.stem.removeprefix("ibkr-") for path in SOURCES if "ibkr-alert@%n.service" in path.read_text()}
    assert failing == {"fetch", "firewall", "flex", "gateway", "metrics", "watchdog"}
    expected |= {f"ibkr-alert-{name}@.service" for name in failing}
    assert {path.name for path in made.glob("ibkr-*@.*") if path.is_file()} == expected


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_template_says_what_the_unit_says_with_its_own_names(path: Path, made: Path) -> None:
    """Directive by directive: nothing is lost, nothing is added but the name, and every name is the instance's."""
    plain, template = list(directives(path)), settings(made_of(path, made))
    if path.suffix == ".service":
        template.remove(("Environment", f"{INSTANCE_VARIABLE}={NAME}"))
    assert [key for key, _ in template] == [key for key, _ in plain]
    for (key, before), (_, after) in zip(plain, template, strict=True):
        expected = before
        for place in (SYSTEM_CONFIGURATION, SYSTEM_STATE, SYSTEM_RUNTIME):
            expected = re.sub(rf"{place}(?=[ /]|$)", str(directory_of(place, NAME)), expected)
        expected = expected.replace("/run/ibkr-tools-metrics", f"/run/ibkr-tools-metrics@{NAME}")
        expected = expected.replace("/run/ibkr-gateway.sock", f"/run/ibkr-gateway@{NAME}.sock")
        expected = re.sub(
            rf"\bibkr-(?:{'|'.join(UNITS)})\.(?:service|path|socket|timer)",
            lambda found: unit_of(found[0], NAME),
            expected,
        )
        if key.endswith("Directory"):
            expected = f"{before}@{NAME}"
        elif key in {"User", "Group", "SocketUser", "SocketGroup", "SupplementaryGroups"}:
            expected = f"ibkr-{NAME}"
        elif key == "SyslogIdentifier":
            expected = f"{before}@{NAME}"
        elif key == "Description":
            expected = f"{before} of {NAME}"
        elif key == "OnFailure":
            expected = f"ibkr-alert-%j@{NAME}.service"
        elif key == "ExecStop":
            expected = before.replace(table_name(None), table_name(NAME))
        assert after == expected, key


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_template_names_anything_of_another_instance(path: Path, made: Path) -> None:
    """A unit that is written tomorrow with a name that is not known yet fails here."""
    text = "\n".join(f"{key}={value}" for key, value in settings(made_of(path, made)))
    for allowed in (
        "https://github.com/ibkr-tools/ibkr-tools",
        "/opt/ibkr-tools/venv/bin/ibkr-tools",
        "/opt/ibkr-tools",
    ):
        text = text.replace(allowed, "")
    text = re.sub(r"(Load|Set)Credential=ibkr-[a-z-]+|-m ibkr_tools[\w.]*", "", text)
    for found in re.finditer(r"(?<![\w/])[\w/-]*ibkr[\w-]*", text):
        rest = text[found.end() :]
        assert rest.startswith((f"@{NAME}", "%j@")) or found[0].endswith(f"-{NAME}"), found[0] + rest[:20]


def test_the_failure_of_a_unit_is_told_by_its_own_handler(made: Path) -> None:
    """%j is the last part of the failed unit's name; the program is told the plain one, as topics are."""
    for path in SOURCES:
        if "OnFailure" in dict(directives(path)):
            handler = made / f"ibkr-alert-{path.stem.rpartition('-')[2]}@.service"
            values = dict(settings(handler))
            assert values["ExecStart"].endswith(f" ibkr_tools.alerts.failed_unit {path.name}")
            assert values["User"] == f"ibkr-{NAME}"
            assert values["Wants"] == values["Before"] == f"ibkr-alert-delivery@{NAME}.service"
            assert values["Description"] == f"Interactive Brokers alert about {path.stem} of {NAME}"


def test_drop_ins_apply_to_instances_too(made: Path) -> None:
    """What a unit needs beyond the sandbox, its template needs as well; since-254/ stays apart."""
    plain = [path for path in SYSTEMD.rglob("ibkr-*.d/*.conf") if path != SANDBOX]
    for path in plain:
        unit_name = path.parent.name.removesuffix(".d")
        prefix, _, kind = unit_of(unit_name, "x").partition("@x")
        copy = made / path.parent.parent.relative_to(SYSTEMD) / f"{prefix}@{kind}.d" / path.name
        assert list(directives(copy)) == list(directives(path)), path
    assert len(list(made.rglob("*.d/*.conf"))) == len(plain) + 2


def test_users_and_directories_are_the_instances(made: Path) -> None:
    """One line for each of the plain ones, with the same modes."""
    for folder in ("sysusers.d", "tmpfiles.d"):
        plain = [line for line in (SYSTEMD / folder / "ibkr-tools.conf").read_text().splitlines() if line[0] != "#"]
        lines = (made / folder / f"ibkr-tools@{NAME}.conf").read_text().splitlines()[1:]
        for before, after in zip(plain, lines, strict=True):
            changed = re.sub(r"(?<= )ibkr(?= )", f"ibkr-{NAME}", before)
            changed = re.sub(r"(/(?:etc|run|var/lib)/ibkr-tools(?:-metrics)?)", rf"\1@{NAME}", changed)
            assert after == changed


@needs_systemd
def test_systemd_understands_every_template(made: Path, tmp_path: Path) -> None:
    """All of them as instances, beside each other: what one names, another is."""
    for path in made.rglob("ibkr-*"):
        if path.is_file():
            (tmp_path / path.name).write_text(VENV_PROGRAM.sub("/usr/bin/true", path.read_text()))
    units = sorted(path for path in tmp_path.iterdir() if path.suffix != ".conf")
    instances = [tmp_path / path.name.replace("@.", f"@{NAME}.") for path in units]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, instances)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


@needs_systemd
def test_templates_keep_the_score_of_the_units(made: Path, tmp_path: Path) -> None:
    """With the sandbox of all services and the exceptions of the unit."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    shutil.copytree(SANDBOX.parent, tmp_path / SANDBOX.parent.name)
    for path in (path for path in SOURCES if path.suffix == ".service"):
        instance = tmp_path / made_of(path, made).name
        instance.write_text(VENV_PROGRAM.sub("/usr/bin/true", instance.read_text()))
        threshold = EXPOSURE.get(path.name, DEFAULT_EXPOSURE)
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={threshold}", str(instance)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (path.name, done.stdout.splitlines()[-1:])


@pytest.mark.parametrize("script", ["install", "uninstall"])
@pytest.mark.parametrize("name", ["", "Anna", "../x", "a b", "-x", "a--b", "default", "a" * 21, "%i", "ä"])
def test_a_name_that_cannot_be_used_is_refused(script: str, name: str) -> None:
    """2, before anything is looked at; as the program refuses it."""
    done = subprocess.run([CHECKOUT / "bin" / script, "--instance", name], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be the name of an instance" in done.stderr


def test_options_that_belong_to_the_whole_are_refused_with_an_instance() -> None:
    for option in ("--simulator", "--statements-only"):
        command = [str(CHECKOUT / "bin/install"), "--instance", NAME, option]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2, option
        assert "--instance goes with" in done.stderr


def test_the_list_of_what_is_installed_names_the_instances() -> None:
    """And their units are those of the templates in it."""
    done = bash(
        """
        lines=("$LIBRARY/sysusers.d/ibkr-tools.conf" "$LIBRARY/sysusers.d/ibkr-tools@bob.conf"
               "$UNIT_DIR/ibkr-fetch.timer" "$UNIT_DIR/ibkr-fetch@.timer" "$UNIT_DIR/ibkr-alert@.service"
               "$LIBRARY/sysusers.d/ibkr-tools@anna-2.conf"
               "$UNIT_DIR/ibkr-fetch@.service.d/20-exceptions.conf")
        instances_among "${lines[@]}"; instance_units bob "${lines[@]}"; use_places bob
        printf '%s\\n' "$SERVICE_USER" "$CONFIG" "$RUNTIME_DIR" "$STATE_DIR" "$METRICS_DIR"
        """
    )
    assert done.stdout.split() == [
        *("bob", "anna-2", "ibkr-fetch@bob.timer", "ibkr-bob", "/etc/ibkr-tools@bob/config.json"),
        *("/run/ibkr-tools@bob", "/var/lib/ibkr-tools@bob", "/run/ibkr-tools-metrics@bob"),
    ]


def test_the_machines_packet_filter_reloads_every_instances() -> None:
    lines = [value for _, value in directives(SYSTEMD / "nftables.service.d/50-ibkr-tools.conf")]
    assert len(lines) == 3
    assert all(line.endswith('ibkr-firewall.service "ibkr-firewall@*.service"') for line in lines)
    assert unit("ibkr-firewall.service").one("StopWhenUnneeded") == "yes"


def test_the_doctor_expects_what_is_made(made: Path) -> None:
    """Paths, modes and owners of an instance, and the plain unit of each template."""

    def planned(folder: Path, name: str) -> list[shipped_units.PlannedPath]:
        text = (folder / "tmpfiles.d" / name).read_text()
        return list(shipped_units.planned_paths(text.splitlines()))

    expected = [shipped_units.of_instance(entry, NAME) for entry in planned(SYSTEMD, "ibkr-tools.conf")]
    assert expected == planned(made, shipped_units.user_file_name(NAME))
    assert all(NAME in str(entry.path) for entry in expected)
    plain = {plain_name_of(path.name) for path in made.glob("ibkr-*@.*") if path.is_file()}
    assert {name for name in plain if "@" not in name} == {path.name for path in SOURCES}
    assert all(name.startswith("ibkr-alert-") for name in plain if "@" in name)


OURS = "ibkr-anna:x:990:990:Interactive Brokers gateway:/var/lib/ibkr-tools@anna:/usr/sbin/nologin"
FOREIGN = [
    "ibkr-anna:x:1001:1001:Anna:/home/ibkr-anna:/bin/bash",
    "ibkr-anna:x:1001:1001:Anna:/var/lib/ibkr-tools@anna:/usr/sbin/nologin",
    "ibkr-anna:x:990:990:another program:/var/lib/another:/usr/sbin/nologin",
    "ibkr-anna:x:990:990:the user without a name:/var/lib/ibkr-tools:/usr/sbin/nologin",
    "ibkr-anna:x:0:0:root:/var/lib/ibkr-tools@anna:/usr/sbin/nologin",
]


def require_own_user(name: str, user: str, group: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs the check of a name on a machine with this user and this group; empty: there is none."""
    return bash(
        f"""
        getent() {{
            local line='{user}'
            if [[ $1 == group ]]; then line='{group}'; fi
            if [[ $line == "$2":* ]]; then printf '%s\\n' "$line"; else return 2; fi
        }}
        use_places '{name}'
        require_own_user 'choose another name'
        """
    )


def test_the_user_that_is_made_by_an_installation_is_ours() -> None:
    """So is one with a shell of an administrator, which the doctor names; and one that is still to be made."""
    group = "ibkr-anna:x:990:alice"
    for user, there in ((OURS, group), (OURS.replace("/usr/sbin/nologin", "/bin/bash"), group), ("", "")):
        done = require_own_user(NAME, user, there)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    plain = OURS.replace("-anna", "").replace("@anna", "")
    assert require_own_user("", plain).returncode == 0


@pytest.mark.parametrize("user", FOREIGN)
def test_a_user_of_somebody_else_is_refused(user: str) -> None:
    _, _, number, _, _, home, _ = user.split(":")
    done = require_own_user(NAME, user)
    assert (done.returncode, done.stdout) == (73, "")
    line, hint = done.stderr.splitlines()
    assert f"a user ibkr-anna on this machine that is none of ibkr-tools (number {number}, home {home})" in line
    assert "choose another name" in hint


@pytest.mark.parametrize("number", [990, 1001])
def test_a_group_without_its_user_is_refused(number: int) -> None:
    """systemd-sysusers would make it the group of the new user, and its members would have rights."""
    done = require_own_user(NAME, "", f"ibkr-anna:x:{number}:mallory")
    assert (done.returncode, done.stdout) == (73, "")
    assert "a group ibkr-anna on this machine, and no user of that name" in done.stderr
    assert "sudo groupdel ibkr-anna" in done.stderr


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("passwd", "ibkr:x:1001:1001:Ibrahim:/home/ibkr:/bin/bash"),
        ("passwd", "ibkr:x:990:990:another program:/var/lib/another:/usr/sbin/nologin"),
        ("passwd", "ibkr:x:0:0:root:/var/lib/ibkr-tools:/usr/sbin/nologin"),
        ("group", "ibkr:x:990:mallory"),
    ],
)
def test_the_package_refuses_them_before_its_files_come(tmp_path: Path, kind: str, line: str) -> None:
    """As bin/install does, whose functions are not there yet."""
    getent = tmp_path / "getent"
    getent.write_text(f"#!/bin/sh\n[ $1 = {kind} ] && echo '{line}'\n")
    getent.chmod(0o755)
    done = subprocess.run(
        ["bash", str(CHECKOUT / "debian/preinst"), "install"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (73, "")
    assert f"there is a {'user' if kind == 'passwd' else 'group'} ibkr on this machine" in done.stderr
