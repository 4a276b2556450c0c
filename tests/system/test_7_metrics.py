"""The metrics under systemd: the timer's unit in its sandbox, and who may read the file."""

from collections.abc import Iterator

import pytest

from tests.system.machine import Machine

pytestmark = pytest.mark.system

FILE = "/run/ibkr-tools-metrics/ibkr-tools.prom"
AS_OTHERS = "setpriv --reuid nobody --regid nogroup --clear-groups"
DROP_IN = "/run/systemd/system/ibkr-metrics.service.d"


@pytest.fixture
def metrics(up: Machine) -> Iterator[Machine]:
    """The machine with a file for the metrics in its configuration."""
    up.configure(metrics={"textfile": FILE})
    yield up
    up.run(f"systemctl stop ibkr-metrics.timer ibkr-metrics; rm -rf {DROP_IN}; systemctl daemon-reload")
    up.run("systemctl reset-failed 'ibkr-metrics*' || true")
    up.configure(metrics={"textfile": None, "figures": "none"})


def test_the_timer_writes_what_anybody_may_read(metrics: Machine) -> None:
    """The state of the session, the memory of the processes, the login budget; nothing of the account."""
    metrics.run("ibkr-tools fetch --save >/dev/null; systemctl start ibkr-metrics.timer")
    metrics.wait("the metrics", lambda: metrics.code(f"test -s {FILE}") == 0, within_s=30)
    text = metrics.run(f"{AS_OTHERS} cat {FILE}")
    assert 'ibkr_session_state{state="up"} 1.0' in text
    assert "ibkr_login_failures_left" in text
    # Where the kernel counts memory by version 1, a container has no counters of its own.
    is_counted = metrics.code("test -e /sys/fs/cgroup/system.slice/ibkr-gateway.service/memory.current") == 0
    assert ('ibkr_unit_memory_bytes{unit="ibkr-gateway"}' in text) == is_counted
    requests = float(next(line for line in text.splitlines() if line.startswith("ibkr_requests_total")).split()[1])
    assert requests > 0
    assert "U1234567" not in text
    assert metrics.run(f"stat -c '%a %U:%G' {FILE}") == "644 ibkr:ibkr"


def test_figures_are_for_the_group_of_the_directory(metrics: Machine) -> None:
    """As docs/metrics.md tells to set it up."""
    place = "/var/lib/ibkr-metrics"
    metrics.configure(metrics={"textfile": f"{place}/x.prom", "figures": "totals"})
    metrics.run("ibkr-tools fetch --save >/dev/null")
    metrics.run(f"install -d -o ibkr -g nogroup -m 2750 {place}; mkdir -p {DROP_IN}")
    metrics.run(f"printf '[Service]\\nReadWritePaths={place}\\n' >{DROP_IN}/place.conf; systemctl daemon-reload")
    metrics.run("systemctl start ibkr-metrics")
    assert metrics.run(f"stat -c '%a %U:%G' {place}/x.prom") == "640 ibkr:nogroup"
    assert "ibkr_net_liquidation_value{" in metrics.run(f"{AS_OTHERS} cat {place}/x.prom")
    metrics.run(f"chmod o+x {place}")
    assert metrics.code(f"setpriv --reuid nobody --regid daemon --clear-groups cat {place}/x.prom") != 0
    metrics.run(f"rm -r {place}")


def test_a_directory_that_the_sandbox_closes_is_named_with_what_opens_it(metrics: Machine) -> None:
    metrics.configure(metrics={"textfile": "/srv/ibkr-tools.prom"})
    assert metrics.code("systemctl start ibkr-metrics") != 0
    assert metrics.show("ibkr-metrics.service", "ExecMainStatus") == "73"
    journal = metrics.run("journalctl --sync; journalctl --unit ibkr-metrics --no-pager --output=cat")
    assert "ReadWritePaths=/srv" in journal
