"""`ibkr-tools doctor` on the booted machine: each fault is named first, with a command that mends it."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.machine import CONFIG, PASSWORD, PASSWORD_FILE, Machine
from tests.system.people import People

pytestmark = pytest.mark.system

STATE, RUN, ETC = "/var/lib/ibkr-tools", "/run/ibkr-tools", "/etc/ibkr-tools"
UNITS, OWN_UNITS = "/usr/local/lib/systemd/system", "/etc/systemd/system"
PYTHON = "/opt/ibkr-tools/venv/bin/python -I"
TLS = f"{STATE}/gateway/tls"
RELOAD = "systemctl daemon-reload"
AS_IBKR = "runuser -u ibkr --"
BUSY = (
    "systemctl list-jobs --no-legend 'ibkr-*'; "
    "systemctl list-units --plain --no-legend --state=activating,deactivating,reloading 'ibkr-*'"
)
"""Lists what systemd is about to do with our units; one that waits for its next start is activating."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is planted, the check that names it first, and a word of what it says.

    `heal`: what mends it where the remedy cannot be pasted here (an editor, a network); `after`: what clears up behind
    the plant and the remedy. `verdict` is that of a fault if it is none of a notice.
    """

    plant: str
    check: str
    says: str
    heal: str | None = None
    after: str = "true"
    verdict: str = "fault"
    with_clock: str | None = None


def drop_in(unit: str, text: str) -> str:
    """Returns the command that puts a drop-in in place, as `systemctl edit` does."""
    folder = f"{OWN_UNITS}/{unit}.d"
    return f"mkdir -p {folder} && printf '%b' {shlex.quote(text)} >{folder}/override.conf && {RELOAD}"


def no_drop_in(unit: str) -> str:
    """Returns the command that removes what is left of one."""
    return f"rm -rf {OWN_UNITS}/{unit}.d && {RELOAD}"


def small(path: str, *options: str) -> str:
    """Returns the command that mounts a small file system where a directory of ours is."""
    more = ",".join(options)
    return f"mount -t tmpfs -o uid=$(id -u ibkr),gid=$(id -g ibkr),mode=0750,{more} tmpfs {path}"


EXPIRED = f"""cd / && {AS_IBKR} {PYTHON} -c "
from datetime import *; from pathlib import Path; from ibkr_tools.gateway import tls
public, private = Path('{TLS}'), Path('{STATE}/gateway/private')
(public / 'gateway.pem').unlink()
tls.make_material(public, private, now=datetime.now(UTC) - timedelta(days=4000))
" """
# A watchdog that starts has not written anything yet.
WAIT_UP = "until ibkr-tools status >/srv/status; do sleep 0.1; done"
PAUSE = (
    f"{WAIT_UP}; ibkr-tools pause; until ibkr-tools status --json | jq --exit-status .session.paused >/srv/status;"
    " do sleep 0.1; done"
)
OLD_STATUS = f"""{WAIT_UP}
systemctl kill -s STOP ibkr-watchdog && cd / && {AS_IBKR} {PYTHON} -c "
import json; from pathlib import Path; from ibkr_tools import files; path = Path('{RUN}/status.json')
with files.locked(path.with_suffix('.lock')):
    document = json.loads(path.read_bytes())
    document['session']['updated_at'] = '2026-01-01T00:00:00Z'
    path.write_text(json.dumps(document))
" """

FILES = (
    Fault(plant=f"chmod 0644 {PASSWORD_FILE}", check="files", says="password"),
    Fault(plant=f"chown ibkr:ibkr {PASSWORD_FILE}", check="files", says="password"),
    Fault(plant=f"chmod 0644 {CONFIG}", check="files", says="config.json"),
    Fault(plant=f"chown ibkr {CONFIG}", check="files", says="config.json"),
    Fault(plant=f"chmod 0777 {ETC}", check="files", says=ETC),
    Fault(plant=f"touch {ETC}/notify.sh && chmod 0777 {ETC}/notify.sh", check="files", says="notify.sh",
          after=f"rm {ETC}/notify.sh"),
    Fault(plant=f"chmod 0755 {STATE}/login", check="files", says="login"),
    Fault(plant=f"chown root {STATE}/browser", check="files", says="browser"),
    Fault(plant=f"chmod 0755 {STATE}/gateway/private", check="files", says="private"),
    Fault(plant=f"chmod 0644 {STATE}/gateway/private/gateway.p12", check="files", says="gateway.p12"),
    Fault(plant=f"chmod 0755 {STATE}/shared", check="files", says="shared"),
    Fault(plant=f"rm -rf {STATE}/statements", check="files", says="missing"),
    Fault(plant=f"touch {STATE}/snapshots/x.json", check="files", says="snapshots/x.json",
          after=f"rm {STATE}/snapshots/x.json"),
    Fault(plant=f"mv {STATE}/history {STATE}/h && ln -s h {STATE}/history", check="files", says="link",
          after=f"rm -rf {STATE}/h {STATE}/history.away"),
    Fault(plant=f"chmod 0755 {RUN}/outbox", check="files", says="outbox"),
    Fault(plant="chmod o+w /opt/ibkr-tools/venv/bin/ibkr-tools", check="files", says="bin/ibkr-tools"),
)  # fmt: skip
MACHINE = (
    Fault(plant="true", with_clock="-3 years", check="clock", says="earlier", heal="true"),
    Fault(plant="true", with_clock="+2 hours", check="clock", says="changed", heal="true"),
    Fault(plant="mv /usr/share/zoneinfo/America/New_York /srv/", check="time zones", says="New York",
          heal="mv /srv/New_York /usr/share/zoneinfo/America/"),
    Fault(plant="mount --bind /dev/null /etc/ssl/certs/ca-certificates.crt", check="certificates", says="empty",
          heal="umount /etc/ssl/certs/ca-certificates.crt"),
    Fault(plant="chmod 0755 /dev/shm", check="shared memory", says="0755"),
    Fault(plant=f"{small(f'{STATE}/snapshots', 'size=17M')} && fallocate -l 4M {STATE}/snapshots/x "
          f"&& chown ibkr: {STATE}/snapshots/x", check="disk", says="full", after=f"umount {STATE}/snapshots"),
    Fault(plant=small(f"{STATE}/snapshots", "nr_inodes=1"), check="disk", says="no more files",
          after=f"umount {STATE}/snapshots"),
    Fault(plant=small(f"{STATE}/history", "ro"), check="disk", says="read-only", after=f"umount {STATE}/history"),
    Fault(plant="usermod -aG shadow ibkr", check="users", says="group"),
    Fault(plant="usermod -s /bin/bash ibkr", check="users", says="shell"),
    Fault(plant="usermod -p '$6$x$y' ibkr", check="users", says="password"),
)  # fmt: skip
PROGRAMS = (
    Fault(plant="echo >>/opt/ibkr-tools/venv/lib/python3*/site-packages/typer/main.py", check="libraries",
          says="typer/main.py", heal="sed -i '$d' /opt/ibkr-tools/venv/lib/python3*/site-packages/typer/main.py"),
    Fault(plant="mv /usr/bin/java /srv/java", check="Java", says="no Java", heal="mv /srv/java /usr/bin/java"),
    Fault(plant="printf '%s\\n' '#!/bin/sh' 'echo \"java version \\\"1.8.0_100\\\"\" >&2' >/usr/local/bin/java "
          "&& chmod +x /usr/local/bin/java", check="Java", says="1.8.0_100", after="rm /usr/local/bin/java.off"),
    # Wherever it is: Debian's may be a link to a place where it is looked for too.
    Fault(plant="touch /srv/empty; mount --bind /srv/empty /usr/bin/chromedriver", check="browser",
          says="no chromedriver", heal="umount /usr/bin/chromedriver"),
    Fault(plant="printf '%s\\n' '#!/bin/sh' 'echo ChromeDriver 99.0.1.2' >/usr/local/bin/chromedriver "
          "&& chmod +x /usr/local/bin/chromedriver", check="browser", says="different versions",
          after="rm /usr/local/bin/chromedriver.off"),
    Fault(plant="echo 0 >/srv/zero && mount --bind /srv/zero /proc/sys/user/max_user_namespaces",
          check="browser's sandbox", says="user namespaces",
          after="umount /proc/sys/user/max_user_namespaces; rm -f /etc/sysctl.d/60-ibkr-tools.conf"),
    Fault(plant=f"cp -a {STATE}/gateway/clientportal.gw/dist /srv/ && "
          f"echo >>$(echo {STATE}/gateway/clientportal.gw/dist/*.jar)", check="gateway",
          says="not IBKR's build",
          heal=f"cp -a /srv/dist/. {STATE}/gateway/clientportal.gw/dist/"),
    Fault(plant=f"rm {STATE}/gateway/class-archive/classes.jsa", check="class archive", says="none", verdict="notice"),
    Fault(plant=f"echo x >{TLS}/gateway.spki", check="TLS", says="pin",
          heal=f"openssl x509 -in {TLS}/gateway.pem -pubkey -noout | openssl pkey -pubin -outform DER | "
          f"openssl dgst -sha256 -binary | base64 >{TLS}/gateway.spki"),
    Fault(plant=f"cp -a {STATE}/gateway/private/gateway.p12 /srv/ && echo x >{STATE}/gateway/private/gateway.p12",
          check="TLS", says="key store", heal=f"cp -a /srv/gateway.p12 {STATE}/gateway/private/"),
)  # fmt: skip
CONFIGURATION = (
    Fault(plant=f"cp -p {CONFIG} /srv/ && echo '{{' >{CONFIG}", check="configuration", says="wrong",
          heal=f"cat /srv/config.json >{CONFIG}"),
    Fault(plant=f"""echo '{{"password": "something-else"}}' >{ETC}/config.json~""", check="secrets",
          says="config.json~"),
    Fault(plant=f"sed -i '0,/{{/s//{{\"password\": \"{PASSWORD}\",/' {CONFIG}", check="secrets",
          says="the group can read"),
    Fault(plant=f"cp -p {PASSWORD_FILE} /srv/ && truncate -s 0 {PASSWORD_FILE}", check="secrets", says="no password",
          heal=f"cat /srv/password >{PASSWORD_FILE}"),
)  # fmt: skip
UNIT_FAULTS = (
    Fault(plant=f"sed -i s/TasksMax=512/TasksMax=9/ {UNITS}/ibkr-login.service && {RELOAD}", check="unit files",
          says="ibkr-login.service"),
    Fault(plant="cp --remove-destination /opt/ibkr-tools/venv/bin/ibkr-tools /usr/local/bin/ibkr-tools",
          check="unit files", says="does not lead"),
    Fault(plant=f"rm {UNITS}/ibkr-login.service.d/20-exceptions.conf && {RELOAD}", check="unit files", says="missing"),
    Fault(plant=drop_in("ibkr-watchdog.service", "[Service]\\nNoNewPrivileges=no\\n"), check="sandbox",
          says="NoNewPrivileges=", after=no_drop_in("ibkr-watchdog.service")),
    Fault(plant=drop_in("service", "[Service]\\nProtectHome=no\\n").replace("override", "99-all"), check="sandbox",
          says="ProtectHome=", after=no_drop_in("service")),
    Fault(plant="systemctl set-property ibkr-fetch.service IPAddressDeny=", check="sandbox", says="IPAddressDeny=",
          after=f"rm -rf {OWN_UNITS}.control && {RELOAD}"),
    Fault(plant=f"mkdir {OWN_UNITS}/ibkr-.service.d && ln -s /dev/null {OWN_UNITS}/ibkr-.service.d/10-sandbox.conf "
          f"&& {RELOAD}", check="sandbox", says="less strict", after=no_drop_in("ibkr-.service")),
    Fault(plant=f"sed s/User=ibkr/User=root/ {UNITS}/ibkr-fetch.service >{OWN_UNITS}/ibkr-fetch.service && {RELOAD}",
          check="sandbox", says="User=", after=f"rm {OWN_UNITS}/ibkr-fetch.service.off"),
    Fault(plant=drop_in("ibkr-watchdog.service", "[Service]\\nMemoryMax=1G\\n").removesuffix(f" && {RELOAD}"),
          check="units", says="has not read", after=no_drop_in("ibkr-watchdog.service")),
    Fault(plant="systemctl mask --quiet ibkr-relay.service", check="units", says="masked"),
    Fault(plant="systemctl stop ibkr-watchdog", check="units", says="ibkr-watchdog.service"),
    Fault(plant="systemctl stop ibkr-login.path", check="units", says="ibkr-login.path"),
    Fault(plant="systemctl disable --quiet ibkr-gateway", check="units", says="at the boot", verdict="notice"),
    Fault(plant="systemctl enable --quiet ibkr-fetch.timer", check="timers", says="does not run",
          after="systemctl disable --quiet --now ibkr-fetch.timer"),
)  # fmt: skip
SESSION = (
    Fault(plant="nft add element inet ibkr_tools users { 12345 }", check="packet filter", says="members"),
    Fault(plant="nft flush chain inet ibkr_tools input", check="packet filter", says="other rules"),
    Fault(plant="nft delete table inet ibkr_tools", check="packet filter", says="EXPOSED"),
    Fault(plant="useradd -M -G ibkr newcomer", check="packet filter", says="members",
          after="userdel newcomer; systemctl reload ibkr-firewall"),
    Fault(plant=f"systemd-run --quiet --unit=squatter {PYTHON} -m http.server 5999 && sed -i 's/\"gateway\": {{/"
          f"&\"port\": 5999, /' {CONFIG} && until ss -ltn | grep -q :5999; do sleep 0.1; done", check="port",
          says="taken by python"),
    Fault(plant="true", check="port", says="runs on port 5000", heal=f"sed -i 's/\"port\": 5999, //' {CONFIG}"),
    Fault(plant=f"cp -a {STATE}/login/login_log.json /srv/ && echo x >{STATE}/login/login_log.json",
          # The remedy begins a new log, and nothing logs in for a day after that.
          check="login budget", says="person", heal=f"cp -a /srv/login_log.json {STATE}/login/"),
    Fault(plant=EXPIRED, check="TLS", says="expired"),
    Fault(plant=OLD_STATUS, check="status", says="the watchdog has said nothing"),
    Fault(plant=PAUSE, check="session", says="nothing logs in", verdict="notice"),
)  # fmt: skip


def provide_sudo(machine: Machine) -> None:
    """Makes a `sudo` that does nothing, unless there is one: everything is root's here."""
    machine.run(
        "command -v sudo || { printf '%s\\n' '#!/bin/sh' 'exec \"$@\"' >/usr/bin/sudo; chmod +x /usr/bin/sudo; }"
    )


@pytest.fixture
def healthy(up: Machine) -> Iterator[Machine]:
    """The machine with a session and a fetch that succeeded, and with `sudo`."""
    if (up.status().get("fetch") or {}).get("state") == "failed":
        up.run("systemctl start ibkr-fetch")
    provide_sudo(up)
    yield up
    up.run("systemctl reset-failed 'ibkr-*' || true")


def examined(machine: Machine, clock: str | None = None, *, instance: str = "") -> list[dict[str, Any]]:
    """Returns what the doctor finds that needs a person, faults first; `instance`: the option for another one."""
    prefix = f"faketime -f {shlex.quote(clock)} " if clock else ""
    told = machine.container.run(f"{prefix}ibkr-tools {instance} doctor --json", check=False)
    assert told.stderr == ""
    document = json.loads(told.stdout)
    assert told.returncode == document["exit_code"]
    found = [entry for entry in document["checks"] if entry["verdict"] in {"fault", "notice"}]
    return sorted(found, key=lambda entry: entry["verdict"] != "fault")


def find_each(machine: Machine, faults: tuple[Fault, ...], *, instance: str = "") -> None:
    """Plants each fault, and mends it as the doctor says; that it is mended shows when the next one is the first."""
    wrong = list[object]()
    for fault in faults:
        machine.run(fault.plant)
        found = examined(machine, fault.with_clock, instance=instance)
        nothing: dict[str, Any] = {"check": "", "verdict": "", "message": "", "remedy": "true"}
        first = found[0] if found else nothing
        is_named = (first["check"], first["verdict"]) == (fault.check, fault.verdict) and fault.says in first["message"]
        if not is_named or not first["remedy"]:
            wrong.append((fault, found))
        # What was planted goes in any case: the next one is not to suffer from it.
        machine.run(fault.heal or f"cd / && {first['remedy']}", timeout_s=120)
        machine.run(fault.after)
        # A gateway that starts has the filter reloaded, and does not wait for that: it would mend the next fault.
        machine.wait("rest", lambda: machine.run(BUSY) == "", within_s=60)
    machine.wait("nothing to be done", lambda: examined(machine, instance=instance) == [], within_s=60)
    assert wrong == []


def test_a_healthy_machine_is_one_line(healthy: Machine) -> None:
    told = healthy.run("ibkr-tools doctor")
    assert told.endswith("checks: nothing to do")
    assert told.count("\n") == 0


@pytest.mark.parametrize("user", ["outsider", "member"])
def test_others_learn_what_they_may_see(people: People, user: str) -> None:
    """It says that they may not look, and makes no fault of that."""
    told = people.run(user, "ibkr-tools doctor")
    assert (told.code, told.err) == (0, "")
    assert "nothing to do" in told.out
    assert "not to be seen by this user" in told.out
    assert "U1234567" not in people.run(user, "ibkr-tools doctor --report").out


@pytest.mark.parametrize(
    "faults",
    [FILES, MACHINE, PROGRAMS, CONFIGURATION, UNIT_FAULTS, SESSION],
    ids=["files", "machine", "programs", "configuration", "units", "session"],
)
def test_each_fault_is_named_first_and_its_remedy_mends_it(healthy: Machine, faults: tuple[Fault, ...]) -> None:
    find_each(healthy, faults)
