"""The packet filter of the gateway's port: what it loads, and what it says when it cannot."""

import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.config.schema import GatewayConfig
from ibkr_tools.errors import ConfigError
from ibkr_tools.gateway import filter_probe, ports
from ibkr_tools.gateway.firewall import DEFAULT_TABLE, guarded_ports, permitted_users, ruleset
from tests.support.checkout import CHECKOUT
from tests.support.layers import no_namespaces

needs_nft = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft (apt install nftables)"
)


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_firewall(tmp_path: Path, *, path: str, config: str) -> "subprocess.CompletedProcess[str]":
    """Runs the module as the unit does, with its own configuration directory and PATH."""
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "config.json").chmod(0o640)
    program = (
        "import sys; from ibkr_tools import entrypoint; from ibkr_tools.gateway import firewall\n"
        "sys.exit(entrypoint.run(lambda: firewall.main('daemon')))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": path, "CONFIGURATION_DIRECTORY": str(tmp_path), "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_nft(tmp_path: Path, script: str) -> str:
    """Makes a program called nft; returns the PATH that finds it."""
    program = tmp_path / "bin" / "nft"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


CONFIG = '{"username": "demo-reader", "account": "U1234567", "gateway": {"port": 5123}}'


def test_the_configured_port_is_the_one_that_is_guarded(tmp_path: Path) -> None:
    """For root, for the user of the units, and for those in its group; the simulator's only where it is asked."""
    path = fake_nft(tmp_path, f"cat >{tmp_path}/rules")
    assert run_firewall(tmp_path, path=path, config=CONFIG).returncode == 0
    rules = (tmp_path / "rules").read_text()
    assert rules == ruleset({5123}, permitted_users("daemon"))
    assert 'iifname != "lo" tcp dport @ports drop' in rules


@pytest.mark.parametrize(
    ("upstream", "ports"),
    [
        ("https://api.ibkr.com", {5000}),
        ("http://127.0.0.1:5080", {5000, 5080, 5081}),
        ("http://localhost:7000", {5000, 5080, 5081, 7000}),
        ("http://127.9.9.9", {5000, 5080, 5081}),
        ("https://127.example.com", {5000, 5080, 5081}),
    ],
)
def test_a_simulator_on_this_machine_is_guarded_too(upstream: str, ports: set[int]) -> None:
    """A name that only looks like this machine's guards ports that nobody uses."""
    assert guarded_ports(GatewayConfig(upstream=upstream)) == ports


def test_members_are_those_whose_group_it_is_first_or_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that is gone stays in the list of a group."""
    users = {"ibkr": (990, 990), "first": (1000, 990), "besides": (1001, 1001), "other": (1002, 1002)}
    found = {name: pwd.struct_passwd((name, "x", uid, gid, "", "/", "/")) for name, (uid, gid) in users.items()}
    monkeypatch.setattr(pwd, "getpwnam", found.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: list(found.values()))
    monkeypatch.setattr(grp, "getgrnam", lambda _: grp.struct_group(("ibkr", "x", 990, ["besides", "gone"])))
    assert permitted_users("ibkr") == {0, 990, 1000, 1001}


def test_without_the_units_user_nobody_is_let_in() -> None:
    with pytest.raises(ConfigError, match="no user and group no-such-user"):
        permitted_users("no-such-user")


def test_without_nft_it_says_what_to_install(tmp_path: Path) -> None:
    """78: an operator must act, and is told how."""
    result = run_firewall(tmp_path, path=str(tmp_path), config=CONFIG)
    assert result.returncode == 78
    assert "apt install nftables" in result.stderr


def test_refusal_of_the_kernel_is_passed_on(tmp_path: Path) -> None:
    """What nft complains about is in the journal, in one line."""
    path = fake_nft(tmp_path, "cat >/dev/null; echo 'Error: Operation not permitted' >&2; exit 1")
    result = run_firewall(tmp_path, path=path, config=CONFIG)
    assert result.returncode == 78
    assert "Operation not permitted" in result.stderr.splitlines()[0]


def test_broken_configuration_opens_nothing(tmp_path: Path) -> None:
    """Without a readable port nothing is loaded and the unit fails, so the gateway does not start."""
    path = fake_nft(tmp_path, f"touch {tmp_path}/called")
    assert run_firewall(tmp_path, path=path, config="{").returncode == 78
    assert not (tmp_path / "called").exists()


IN_A_NETWORK = r"""
import errno, json, os, socket, subprocess, sys
from pathlib import Path

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "10.77.0.1/32", "dev", "lo"], check=True)
from ibkr_tools.gateway.filter_probe import is_filtered
from ibkr_tools.gateway.firewall import load

# What is connected until then is to leave nothing behind at the ports that are taken below.
ports = Path("/proc/sys/net/ipv4/ip_local_port_range")
ports.write_text("50000 60999")

listener = socket.socket(socket.AF_INET6)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind(("::", 5000))
listener.listen()
told = {"before": is_filtered(5000)}
load({5000}, {0, 1000})
load({5000, 5001}, {0, 1001})
told["after"] = is_filtered(5000)

def of(uid, action):
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.write(writing, str(action()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(reading, 1000).decode()

def connect(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(5)
        return errno.errorcode.get(client.connect_ex((host, 5000)), "connected")

for uid in (0, 1000, 1001, 65534):
    told[str(uid)] = {host: of(uid, lambda: connect(host)) for host in ("127.0.0.1", "::1", "10.77.0.1", "127.0.0.2")}

ports.write_text("40000 40003")
taken = [socket.socket() for _ in range(4)]
for number, one in enumerate(taken):
    one.bind(("0.0.0.0", 40000 + number))
told["exhausted"] = is_filtered(5000)
for one in taken:
    one.close()

client = socket.socket()
client.connect(("127.0.0.1", 5000))
os.setresuid(1001, 1001, 0)
theirs = socket.socket()
theirs.connect(("127.0.0.1", 5000))
os.setresuid(0, 0, 0)
load({5000}, {0})

def talk(socket_):
    try:
        socket_.sendall(b"x")
        socket_.settimeout(1)
        return "silence" if not socket_.recv(1) else "data"
    except TimeoutError:
        return "open"
    except OSError as error:
        return errno.errorcode[error.errno]

told["kept"], told["removed"] = talk(client), talk(theirs)
told["rules"] = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
print(json.dumps(told))
"""


@needs_nft
def test_the_kernel_lets_in_whom_the_table_names() -> None:
    """In a network that ends with this: at every address of the machine, and as the table says now, not as it said."""
    if reason := no_namespaces("--net"):
        pytest.skip(f"needs a network of its own: {reason}")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", IN_A_NETWORK],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["before"], told["after"]) == (False, True)
    usual = ("127.0.0.1", "::1", "10.77.0.1")
    for uid, expected in {
        "0": "connected",
        "1001": "connected",
        "1000": "ECONNREFUSED",
        "65534": "ECONNREFUSED",
    }.items():
        assert {told[uid][host] for host in usual} == {expected}, uid
        # Whoever asks: this address is refused, and says that the table is there.
        assert told[uid]["127.0.0.2"] == "ECONNREFUSED"
    # Any user can take all ports that connections begin at: that shows nothing, neither way.
    assert told["exhausted"] is None
    assert told["kept"] == "open"
    assert told["removed"] in {"ECONNRESET", "EPIPE", "silence"}
    assert told["rules"].count("table inet") == 1
    assert f"table inet {DEFAULT_TABLE}" in told["rules"]


def test_without_a_filter_the_probe_says_so(unused_port: int) -> None:
    with ports.listening_on(unused_port):
        assert not filter_probe.is_filtered(unused_port)
        assert not filter_probe.await_filter(unused_port, 0.2)
