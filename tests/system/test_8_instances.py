"""A second IBKR user on the machine: neither instance mixes anything up, nor reads, asks or stops the other."""

import json
import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from ibkr_tools.simulator.control_client import ControlClient
from tests.system.conftest import MOST_S
from tests.system.machine import CHECKOUT, CONFIG, INSTALL, PASSWORD, PASSWORD_FILE, Machine, now
from tests.system.people import People
from tests.system.test_8_doctor import PAUSE, Fault, drop_in, examined, find_each, no_drop_in, provide_sudo

pytestmark = pytest.mark.system

NAME = "second"
USERS = {"default": "ibkr", NAME: f"ibkr-{NAME}"}
ACCOUNTS = {"default": "U1234567", NAME: "U7654321"}
PORTS = {"default": 5000, NAME: 5001}
SIMULATOR_PORT, CONTROL_PORT = 5180, 5181
INSTALL_SECOND = f"{CHECKOUT}/bin/install --instance {NAME}"
AT = {"default": "", NAME: f"@{NAME}"}
OTHER = {"default": NAME, NAME: "default"}
MINUTES = float(os.environ.get("IBKR_TOOLS_INSTANCES_MINUTES", "0"))
"""How long sessions are lost at random; at least `MIN_LOSSES` times."""

MIN_LOSSES, SEED = 6, 7


class Second:
    """The second instance, in the words of the tests."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def section(self) -> dict[str, object]:
        """Returns what its watchdog says of the session."""
        try:
            text = self.machine.container.inside(f"/run/ibkr-tools@{NAME}/status.json").read_text()
        except FileNotFoundError:
            return {}
        section: dict[str, object] = json.loads(text).get("session") or {}
        return section

    def is_up_since(self, moment: datetime) -> bool:
        """Says whether a session is up that was proven after `moment`."""
        section = self.section()
        up_since = section.get("up_since")
        return section.get("state") == "up" and bool(up_since) and datetime.fromisoformat(str(up_since)) > moment

    def wait_back(self, since: datetime) -> None:
        """Waits for a session that was proven after `since`."""
        self.machine.wait("the session of the second", lambda: self.is_up_since(since), within_s=90)

    def drop(self) -> None:
        """Lets IBKR lose its session."""
        assert self.machine.container.in_network(lambda: ControlClient(CONTROL_PORT).drop()) >= 1

    def logins(self) -> int:
        """Returns how many logins its simulator has seen."""
        state = self.machine.container.in_network(lambda: ControlClient(CONTROL_PORT).state())
        return int(state["users"]["demo-reader"]["logins"])


@pytest.fixture(scope="module")
def second(machine: Machine) -> Iterator[Second]:
    """The second instance, installed, with a simulator of its own, and up; it goes after the tests."""
    with machine.timed("bin/install --instance"):
        told = machine.run(INSTALL_SECOND, timeout_s=120)
    assert f"configuration: /etc/ibkr-tools@{NAME}/config.json, from the example, with port 5001" in told
    assert json.loads(machine.run(f"cat {ETC}/config.json"))["gateway"] == {"port": 5001}
    assert "the build of the instance without a name" in told
    config = {
        "username": "demo-reader",
        "password": PASSWORD,
        "account": ACCOUNTS[NAME],
        "login": {"logins_a_day": 10_000},
        "gateway": {"port": PORTS[NAME], "upstream": f"http://127.0.0.1:{SIMULATOR_PORT}"},
    }
    machine.container.run(f"cat >/etc/ibkr-tools@{NAME}/config.json", stdin=json.dumps(config))
    machine.run(INSTALL_SECOND, timeout_s=120)
    machine.run(
        f"systemd-run --quiet --unit=second-simulator --uid=ibkr-{NAME} ibkr-tools simulate --port {SIMULATOR_PORT}"
        f" --control-port {CONTROL_PORT} --account {ACCOUNTS[NAME]} --positions 11 --seed 2"
    )
    it, moment = Second(machine), now()
    with machine.timed("start of a second instance until its session is up"):
        machine.run(f"systemctl start ibkr-gateway@{NAME}", timeout_s=90)
        it.wait_back(moment)
    yield it
    uninstall = f"{CHECKOUT}/bin/uninstall --instance {NAME} --purge"
    machine.run(f"systemctl stop second-simulator || true; test ! -e /etc/ibkr-tools@{NAME} || {uninstall}")


def is_same_moment(one: object, other: object) -> bool:
    """Says whether two times are of one login: the watchdog reckons them anew from a clock that goes on."""
    return abs(datetime.fromisoformat(str(one)) - datetime.fromisoformat(str(other))) < timedelta(seconds=1)


def as_instance(name: str, command: str) -> str:
    """Returns a command of `ibkr-tools` for an instance."""
    return f"ibkr-tools {'' if name == 'default' else f'--instance {name} '}{command}"


def test_the_password_is_out_of_the_configuration(second: Second) -> None:
    """As of the first: it is in a file for root alone."""
    machine = second.machine
    assert machine.code(f"grep -q {PASSWORD} /etc/ibkr-tools@{NAME}/config.json") == 1
    assert machine.run(f"stat -c '%a %U' /etc/ibkr-tools@{NAME}/password") == "600 root"


def test_units_of_an_instance_have_the_sandbox(up: Machine, second: Second) -> None:
    """The drop-in of all services and that of the unit apply, and every process is the instance's own user's."""
    for plain in ("gateway", "login", "watchdog", "firewall", "relay", "fetch", "alert-delivery", "alert-fetch"):
        unit = f"ibkr-{plain}@{NAME}.service"
        paths = up.show(unit, "DropInPaths")
        assert "/ibkr-.service.d/10-sandbox.conf" in paths, unit
        assert up.show(unit, "NoNewPrivileges") == "yes", unit
    assert "/ibkr-login@.service.d/20-exceptions.conf" in up.show(f"ibkr-login@{NAME}.service", "DropInPaths")
    assert up.show(f"ibkr-alert-fetch@{NAME}.service", "User") == USERS[NAME]
    uid = int(up.run(f"id -u {USERS[NAME]}"))
    programs = {process.program for process in up.container.processes() if process.uid == uid}
    assert "java" in programs
    assert up.uid() != uid


class Sessions:
    """The sessions of both, by the instances' names."""

    def __init__(self, up: Machine, second: Second) -> None:
        self._up, self._second = up, second

    def up_since(self) -> dict[str, object]:
        """Returns since when each is up."""
        return {"default": self._up.status()["session"]["up_since"], NAME: self._second.section()["up_since"]}

    def logins(self) -> dict[str, int]:
        """Returns how many logins IBKR has seen of each."""
        return {"default": self._up.logins(), NAME: self._second.logins()}

    def are_up(self) -> bool:
        """Says whether both are up."""
        return self._up.state() == "up" and self._second.section().get("state") == "up"

    def stay_up(self, seconds: float) -> None:
        """Looks for so long whether both stay up."""
        until = now() + timedelta(seconds=seconds)

        def is_over() -> bool:
            assert self.are_up(), (self._up.status(), self._second.section())
            return now() >= until

        self._up.wait("a while without a loss", is_over, within_s=seconds + 60)

    def lose(self, name: str) -> None:
        """Lets IBKR lose one, and waits until there is another one."""
        moment = now()
        (self._up.drop_session if name == "default" else self._second.drop)()
        (self._up.wait_back if name == "default" else self._second.wait_back)(moment)


@pytest.mark.timeout(MOST_S + 120 * MINUTES)
def test_losses_mix_nothing_up(up: Machine, second: Second) -> None:
    """Session after session is lost, here or there: the other keeps its own, and each saves its own account.

    IBKR_TOOLS_INSTANCES_MINUTES has that go on for so long.
    """
    # An hour of losses is more than a day may have of them.
    up.run(f'sed -i \'0,/{{/s//{{"login": {{"logins_a_day": 10000}},/\' {CONFIG}')
    sessions, dealer, end = Sessions(up, second), random.Random(SEED), now() + timedelta(minutes=MINUTES)
    first, lost = sessions.logins(), dict.fromkeys(USERS, 0)
    while sum(lost.values()) < MIN_LOSSES or now() < end:
        name = dealer.choice(list(USERS)) if MINUTES else list(USERS)[sum(lost.values()) % 2]
        before, logins = sessions.up_since(), sessions.logins()
        sessions.lose(name)
        lost[name] += 1
        after = sessions.up_since()
        assert is_same_moment(after[OTHER[name]], before[OTHER[name]])
        assert sessions.logins() == {name: logins[name] + 1, OTHER[name]: logins[OTHER[name]]}
        for each in USERS:
            up.run(f"systemctl start ibkr-fetch{AT[each]}.service", timeout_s=120)
            latest = up.run(f"cat /var/lib/ibkr-tools{AT[each]}/snapshots/latest.json")
            assert ACCOUNTS[each] in latest
            assert ACCOUNTS[OTHER[each]] not in latest
        sessions.stay_up(dealer.uniform(0, 90) if MINUTES else 0)
    print(f"lost: {lost}; logins: {first} before, {sessions.logins()} after")
    java, moment = up.java_pid(), now()
    up.run(f"systemctl restart ibkr-gateway@{NAME}", timeout_s=90)
    second.wait_back(moment)
    assert up.java_pid() == java
    for name in USERS:
        told = up.run(as_instance(name, "fetch --jq .accounts"))
        assert ACCOUNTS[name] in told
        assert ACCOUNTS[OTHER[name]] not in told
    both = json.loads(up.run(f"ibkr-tools --instance default --instance {NAME} show -c"))
    assert {name: both[name]["account"] for name in both} == ACCOUNTS


@pytest.mark.parametrize("me", list(USERS))
def test_neither_reads_the_other(people: People, second: Second, me: str) -> None:
    """Configuration, state, status, requests, secrets, credentials of a running unit."""
    at = AT[OTHER[me]]
    people.machine.run(f"systemctl start ibkr-fetch{at}.service", timeout_s=120)
    for path in (
        f"/etc/ibkr-tools{at}/config.json",
        f"/etc/ibkr-tools{at}/password",
        f"/run/ibkr-tools{at}/status.json",
        f"/run/ibkr-tools{at}/gateway.env",
        f"/var/lib/ibkr-tools{at}/snapshots/latest.json",
        f"/var/lib/ibkr-tools{at}/login/login_log.json",
    ):
        assert people.machine.code(f"test -e {path}") == 0, path
        told = people.run(USERS[me], f"cat {path}")
        assert told.code != 0, path
        assert "Permission denied" in told.err, path
    for folder in (f"/etc/ibkr-tools{at}", f"/run/ibkr-tools{at}", f"/var/lib/ibkr-tools{at}", "/run/credentials"):
        listing = people.run(USERS[me], f"ls {folder}/*/")
        assert not listing.out.strip(), folder
    for words in ("status", "fetch", "show", "login log", "config check"):
        # Without a name the status is that of all, and says of one that it is not for this user.
        assert people.run(USERS[me], f"ibkr-tools --instance {OTHER[me]} {words}").code != 0, words
    told = people.run(USERS[me], "ibkr-tools status")
    assert ACCOUNTS[OTHER[me]] not in told.out
    assert f"instance {OTHER[me]}\nnot for this user" in told.out


def test_a_member_of_one_has_its_snapshot_saved(people: People, second: Second) -> None:
    """By its own unit, into its own directory; the other one is not asked."""
    machine, group = people.machine, f"ibkr-{NAME}"
    for command in ("status", "doctor"):
        told = people.run("member", f"ibkr-tools {command}", timeout_s=180)
        assert f"not for this user: root and the group {group} may look" in told.out, told
        assert command == "doctor" or told.code == 0, told
    answers = {name: f"/run/ibkr-tools{AT[name]}/fetch-answer.json" for name in USERS}
    machine.run(f"rm -f {' '.join(answers.values())}; usermod -aG {group} member")
    try:
        told = people.run("member", as_instance(NAME, "fetch --save"), timeout_s=180)
        assert (told.code, told.err.splitlines()[-1]) == (0, f"saved /var/lib/ibkr-tools@{NAME}/snapshots/latest.json")
        there = {name for name, path in answers.items() if machine.code(f"test -e {path}") == 0}
        assert there == {NAME}
    finally:
        machine.run(f"gpasswd -d member {group}")
    told = people.run("member", as_instance(NAME, "fetch --save"))
    assert told.code == 77
    assert told.err.splitlines()[1] == f"hint: sudo {as_instance(NAME, 'fetch --save')}"


@pytest.mark.parametrize("me", list(USERS))
def test_neither_asks_or_stops_the_other(people: People, second: Second, me: str) -> None:
    """Neither the gateway, nor the way of the login, nor a request, nor systemd, nor a signal."""
    other, machine = OTHER[me], people.machine
    user = USERS[me]
    curl = "curl -sk --max-time 20 -o /dev/null https://127.0.0.1:{}/"
    assert people.run(user, curl.format(PORTS[me])).code == 0
    assert people.run(user, curl.format(PORTS[other])).code == 7
    relay = people.run(
        user, f"curl -sk --max-time 20 --unix-socket /run/ibkr-gateway{AT[other]}.sock https://localhost/"
    )
    assert relay.code == 7
    before = [machine.main_process(f"ibkr-{unit}{AT[other]}.service") for unit in ("gateway", "watchdog")]
    for command in (
        f"touch /run/ibkr-tools{AT[other]}/login.request",
        f"touch /run/ibkr-tools{AT[other]}/gateway.restart",
        f"touch /var/lib/ibkr-tools{AT[other]}/shared/session-lost",
        f"systemctl stop ibkr-gateway{AT[other]}",
        f"systemctl restart ibkr-login{AT[other]}.path",
        f"kill {before[0]}",
        *(as_instance(other, words) for words in ("login", "pause", "unlock", "gateway restart")),
    ):
        assert people.run(user, f"{command} </dev/null").code != 0, command
    after = [machine.main_process(f"ibkr-{unit}{AT[other]}.service") for unit in ("gateway", "watchdog")]
    assert before == after
    assert 0 not in before


def test_status_shows_both(up: Machine, second: Second) -> None:
    """The highest exit code is that of the whole; root reads each as that one's user."""
    text = up.run("ibkr-tools status")
    assert text.startswith("instance default\ngateway  up")
    assert f"\n\ninstance {NAME}\ngateway  up" in text
    for name in USERS:
        assert ACCOUNTS[name] in text
    documents = json.loads(up.run("ibkr-tools status --json --all"))
    assert {name: documents[name]["session"]["accounts"] for name in documents} == {
        name: [account] for name, account in ACCOUNTS.items()
    }
    assert json.loads(up.run("ibkr-tools status --json"))["session"]["accounts"] == [ACCOUNTS["default"]]
    moment = now()
    up.run(f"systemctl stop ibkr-gateway@{NAME}", timeout_s=60)
    try:
        assert up.code("ibkr-tools status") == up.code(f"ibkr-tools --instance {NAME} status") == 69
        assert up.code("ibkr-tools status --json") == 0
        told = up.container.run(f"ibkr-tools --instance {NAME} fetch", check=False)
        assert f"systemctl start ibkr-gateway@{NAME}" in told.stderr
        assert up.run("systemctl is-active ibkr-gateway") == "active"
        assert not [line for line in up.run("nft list tables").splitlines() if line.endswith(f"ibkr_tools-{NAME}")]
    finally:
        up.run(f"systemctl start ibkr-gateway@{NAME}", timeout_s=90)
    second.wait_back(moment)


ETC, STATE, UNITS = f"/etc/ibkr-tools@{NAME}", f"/var/lib/ibkr-tools@{NAME}", "/usr/local/lib/systemd/system"
FAULTS = (
    Fault(plant=f"chmod 0644 {ETC}/password", check="files", says=f"{ETC}/password is 0644"),
    Fault(plant=f"chmod 0755 {STATE}/login", check="files", says=f"{STATE}/login is 0755"),
    Fault(plant=f"rm -rf {STATE}/statements", check="files", says="missing"),
    Fault(plant=f"usermod -s /bin/bash {USERS[NAME]}", check="users", says=f"the user {USERS[NAME]} has a shell"),
    Fault(plant=f"usermod -aG ibkr {USERS[NAME]}", check="users", says="in another group"),
    Fault(plant=f"mv {UNITS}/ibkr-login@.service /srv/", check="unit files", says="ibkr-login@.service is missing",
          heal=f"mv /srv/ibkr-login@.service {UNITS}/ && systemctl daemon-reload"),
    Fault(plant=f"cp -a {UNITS}/ibkr-fetch@.service /srv/ && echo '#' >>{UNITS}/ibkr-fetch@.service "
          f"&& touch -d '+1 minute' {UNITS}/ibkr-fetch@.service", check="unit files", says="changed after",
          heal=f"mv /srv/ibkr-fetch@.service {UNITS}/ && systemctl daemon-reload"),
    Fault(plant=drop_in(f"ibkr-login@{NAME}.service", "[Service]\\nNoNewPrivileges=no\\n"), check="sandbox",
          says=f"ibkr-login@{NAME}.service: NoNewPrivileges=", after=no_drop_in(f"ibkr-login@{NAME}.service")),
    Fault(plant=f"cp -p {ETC}/config.json /srv/second.json && echo '{{' >{ETC}/config.json", check="configuration",
          says="wrong", heal=f"cat /srv/second.json >{ETC}/config.json"),
    Fault(plant=f"cp -p {ETC}/password /srv/ && truncate -s 0 {ETC}/password", check="secrets", says="no password",
          heal=f"cat /srv/password >{ETC}/password"),
    Fault(plant=f"nft add element inet ibkr_tools-{NAME} users {{ 12345 }}", check="packet filter", says="members"),
    Fault(plant=f"nft flush chain inet ibkr_tools-{NAME} input", check="packet filter", says="other rules"),
    Fault(plant=f"systemctl stop ibkr-login@{NAME}.path", check="units", says=f"ibkr-login@{NAME}.path"),
    Fault(plant=PAUSE.replace("ibkr-tools", f"ibkr-tools --instance {NAME}"), check="session", says="nothing logs in",
          verdict="notice"),
)  # fmt: skip


def test_the_doctor_finds_the_faults_of_an_instance(up: Machine, second: Second) -> None:
    """Each first, with a command that mends it as it is pasted; of the other one there is none."""
    provide_sudo(up)
    up.run(f"systemctl start ibkr-fetch@{NAME}.service", timeout_s=120)
    assert examined(up, instance=f"--instance {NAME}") == []
    find_each(up, FAULTS, instance=f"--instance {NAME}")


def test_the_doctor_names_the_instances_with_something_to_do(up: Machine, second: Second) -> None:
    """A line for each, and the highest exit code; the plain one's own checks say nothing of them.

    Who may read a password that others can read is told by two checks.
    """
    for name in USERS:
        up.run(f"systemctl start ibkr-fetch{AT[name]}.service", timeout_s=120)
    assert up.run("ibkr-tools doctor").splitlines()[-1] == f"{NAME}: nothing to do"
    # Somebody who may not even read which port it has.
    told_nobody = up.run("cd / && runuser -u nobody -- ibkr-tools doctor").splitlines()[-1]
    assert told_nobody == f"{NAME}: not for this user: root and the group {USERS[NAME]} may look"
    up.run(f"chmod 0644 {ETC}/password")
    try:
        told = up.container.run("ibkr-tools doctor", check=False)
        report = up.container.run(f"ibkr-tools --instance {NAME} doctor --report", check=False)
    finally:
        up.run(f"chmod 0600 {ETC}/password")
    assert told.returncode == 78
    assert told.stdout.splitlines()[-1] == f"{NAME}: 2 to do: sudo ibkr-tools --instance {NAME} doctor"
    assert "FAULT" not in told.stdout
    assert NAME not in report.stdout.replace("0 s", "")
    assert examined(up) == []


def test_setup_writes_the_configuration_of_an_instance(up: Machine, second: Second) -> None:
    """Its password, its schedule, its units; nothing of the other one's."""
    before = up.run(f"sha256sum {CONFIG} {PASSWORD_FILE}")
    run = f"--instance {NAME} setup --username demo-reader --account {ACCOUNTS[NAME]} --schedule 07:00 --alerts none"
    told = up.run(f"printf %s {PASSWORD} | ibkr-tools {run} --password-stdin --start", timeout_s=180)
    try:
        assert f"{ETC}/config.json" in told
        assert up.run(f"systemctl is-enabled ibkr-fetch@{NAME}.timer") == "enabled"
        assert up.code("systemctl is-enabled ibkr-fetch.timer") != 0
        assert up.run(f"stat -c '%a %U' {ETC}/password") == "600 root"
        assert json.loads(up.run(f"cat {ETC}/config.json"))["gateway"]["port"] == PORTS[NAME]
        assert up.run(f"sha256sum {CONFIG} {PASSWORD_FILE}") == before
    finally:
        up.run(f"systemctl disable --now ibkr-fetch@{NAME}.timer; rm -rf /etc/systemd/system/ibkr-fetch@{NAME}.timer.d")
        up.run("systemctl daemon-reload")
    changed = up.run(f"printf %s {PASSWORD} | ibkr-tools --instance {NAME} password --password-stdin")
    assert changed.startswith(f"{ETC}/password: written")
    for command, words in (
        (f"--instance {NAME} setup --simulator", "is for the instance without a name"),
        ("--instance nobody setup", "sudo ./bin/install --instance nobody makes it"),
    ):
        refused = up.container.run(f"ibkr-tools {command}", check=False)
        assert refused.returncode == 2
        assert words in refused.stderr


def test_a_failure_is_told_by_the_instance_that_it_is_of(up: Machine, second: Second) -> None:
    """With the unit's name as a person types it, and how it ended."""
    folder = f"/run/systemd/system/ibkr-metrics@{NAME}.service.d"
    up.run(f"mkdir {folder}; printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"exit 9\"\\n' >{folder}/fail.conf")
    up.run("systemctl daemon-reload")
    try:
        assert up.code(f"systemctl start ibkr-metrics@{NAME}") != 0
        told = f"ibkr-metrics@{NAME}.service"
        up.wait("the message", lambda: told in up.container.journal(f"--unit=ibkr-alert-delivery@{NAME}"), within_s=30)
        message = up.container.journal(f"--unit=ibkr-alert-delivery@{NAME}")
    finally:
        up.run(f"rm -r {folder}; systemctl daemon-reload; systemctl reset-failed 'ibkr-*'")
    assert "9" in message
    assert told not in up.container.journal("--unit=ibkr-alert.service")


def test_two_instances_with_one_port_are_refused(up: Machine, second: Second) -> None:
    """78, who has it, and one that is free; nothing is changed."""
    file = f"/etc/ibkr-tools@{NAME}/config.json"
    before = up.run(f"cat {file}")
    up.container.run(f"cat >{file}", stdin=before.replace(f'"port": {PORTS[NAME]}', '"port": 5000'))
    try:
        told = up.container.run(INSTALL_SECOND, check=False)
    finally:
        up.container.run(f"cat >{file}", stdin=before)
    assert told.returncode == 78
    assert "gateway.port 5000 is that of the instance default already" in told.stderr
    assert "is free" in told.stderr


def test_an_update_keeps_every_instance(up: Machine, second: Second) -> None:
    """bin/install without a name has its files stay, and restarts nothing that has not changed."""
    java = up.main_process(f"ibkr-gateway@{NAME}.service")
    told = up.run(INSTALL.replace("--gateway /srv/clientportal.gw ", ""), timeout_s=120)
    assert "no longer part of it" not in told
    assert up.main_process(f"ibkr-gateway@{NAME}.service") == java
    assert up.code(f"test -e /usr/local/lib/sysusers.d/ibkr-tools@{NAME}.conf") == 0


def test_the_program_stays_while_an_instance_needs_it(up: Machine, second: Second) -> None:
    """The default's removal is refused in one line, before anything is stopped."""
    told = up.container.run(f"{CHECKOUT}/bin/uninstall --purge", check=False)
    assert told.returncode == 78
    assert f"uninstall --instance {NAME}" in told.stderr
    assert up.is_active("ibkr-gateway.service")


def test_an_instance_goes_alone(up: Machine, second: Second) -> None:
    """Purged, nothing of it is left, and the other has not noticed."""
    java = up.java_pid()
    told = up.container.run(f"{CHECKOUT}/bin/uninstall --instance {NAME} --purge", check=False, timeout_s=90)
    assert told.returncode == 73
    assert f"processes of the user ibkr-{NAME} still run: " in told.stderr
    up.run("systemctl stop second-simulator")
    up.run(f"{CHECKOUT}/bin/uninstall --instance {NAME} --purge", timeout_s=90)
    assert up.java_pid() == java
    up.wait_status()
    assert "instance" not in up.run("ibkr-tools status")
    assert up.code(f"getent passwd ibkr-{NAME}") == up.code(f"getent group ibkr-{NAME}") == 2
    places = "/etc /run /var/lib /usr/local/lib /opt"
    found = up.run(f"find {places} -ignore_readdir_race -xdev -name '*@{NAME}*' -not -path '*/systemd/*'")
    assert found == ""
    assert NAME not in up.run("cat /opt/ibkr-tools/manifest; nft list tables")
    assert up.code(f"ibkr-tools --instance {NAME} status") == 2
