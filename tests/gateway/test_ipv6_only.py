"""IBKR's real program on a machine without IPv4: a network namespace with a loopback interface and IPv6."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces take root and ip"),
]

NAME = "ibkr.test"
ADDRESS = "2001:db8:1::1"

MACHINE = f"""
set -e
ip link set lo up
# On the loopback interface: not every kernel has others to make.
ip address add {ADDRESS}/64 dev lo nodad
[ "$1" = without ] || ip -6 route add default dev lo
mount --bind "$2" /etc/hosts
shift 2
exec "$@"
"""

SCRIPT = """
import socket, sys, threading
from pathlib import Path
import requests
from ibkr_tools.simulator import Simulator
from tests.gateway.test_gateway_process import running
from tests.support.simulation import simulator_options

def forward(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)

def serve(listener, port):
    while True:
        client = listener.accept()[0]
        server = socket.create_connection(("127.0.0.1", port))
        for pair in ((client, server), (server, client)):
            threading.Thread(target=forward, args=pair, daemon=True).start()

folder, name, address = Path(sys.argv[1]), *sys.argv[2:]
with Simulator(simulator_options()) as simulator:
    listener = socket.create_server((address, 0), family=socket.AF_INET6)
    threading.Thread(target=serve, args=(listener, simulator.port), daemon=True).start()
    with running(folder, f"http://{name}:{listener.getsockname()[1]}") as gateway:
        answer = requests.get(f"{gateway.url}/sso/Login?forwardTo=22&RL=1", verify=False, timeout=30)
        print("the login page:", answer.status_code, "xyz-field-username" in answer.text)
        print(gateway.log.read_text())
"""


@pytest.mark.parametrize("default_route", ["with", "without"])
@pytest.mark.parametrize("addresses", [[ADDRESS], ["192.0.2.1", ADDRESS]], ids=["IPv6", "both families"])
def test_login_page_comes_over_ipv6(tmp_path: Path, default_route: str, addresses: list[str]) -> None:
    """Also where the name has an IPv4 address too, which leads nowhere."""
    hosts, state = tmp_path / "hosts", tmp_path / "state"
    state.mkdir()
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))
    machine = ["unshare", "--net", "--mount", "sh", "-c", MACHINE, "sh", default_route, str(hosts)]
    done = subprocess.run(
        [*machine, sys.executable, "-c", SCRIPT, str(state), NAME, ADDRESS],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert "the login page: 200 True" in done.stdout
