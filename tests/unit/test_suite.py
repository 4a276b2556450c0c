"""What the tests promise of themselves: results say nothing of the machine's age, load, time of day, or who reaps."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings

from tests.support import patience
from tests.support.daytime import zone_of_noon
from tests.support.layers import no_namespaces
from tests.support.processes import is_alive, is_group_alive
from tests.support.simulation import wait_until

CHECKOUT = Path(__file__).parents[2]
CLOCKS = {"monotonic", "monotonic_ns", "clock_gettime", "clock_gettime_ns", "perf_counter"}
WHERE = ("ibkr_tools", "tests", "bench")


def expressions() -> Iterator[tuple[str, ast.AST]]:
    """Every node of every module's syntax tree, and where it stands."""
    for folder in WHERE:
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                yield f"{path.relative_to(CHECKOUT)}:{getattr(node, 'lineno', 0)}", node


def name_of(node: ast.AST) -> str:
    """The last part of what is called, empty if that is nothing of the kind."""
    function = node.func if isinstance(node, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_hypothesis_has_no_deadline() -> None:
    """Neither in the profile that is in force, nor in any test's own settings."""
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check
    own = [
        where
        for where, node in expressions()
        if isinstance(node, ast.Call) and name_of(node) == "settings" and "register" not in ast.unparse(node)
        for keyword in node.keywords
        if keyword.arg == "deadline"
    ]
    assert own == []


def test_no_clock_is_set_back_from_now() -> None:
    """On a machine that was booted a minute ago, ten minutes ago is below zero."""
    set_back = [
        where
        for where, node in expressions()
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub | ast.Mult)
        and name_of(node.left) in CLOCKS
        and isinstance(node.right, ast.Constant)
    ]
    assert set_back == []


def test_a_young_machine_is_what_its_processes_see() -> None:
    """`bin/young`: boot clock, monotonic clock and /proc/uptime, and in children of children."""
    if reason := no_namespaces("--time"):
        pytest.skip(f"no time namespace here: {reason}")
    look = (
        "import json, time; up = float(open('/proc/uptime').read().split()[0])\n"
        "print(json.dumps([time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), up]))"
    )
    command = [str(CHECKOUT / "bin" / "young"), "sh", "-c", f'"{sys.executable}" -c "{look}"']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ages_s = json.loads(done.stdout)
    assert all(0 < age_s < 300 for age_s in ages_s), ages_s


def test_a_busy_machine_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a quiet one is not."""
    monkeypatch.setattr(patience, "slowdown", lambda: 100.0)
    steps = iter(range(1000))
    wait_until(lambda: next(steps) > 5, timeout_s=0.01, step_s=0.01)
    with patience.within(0.001):
        wait_until(lambda: next(steps) > 10, timeout_s=1.0, step_s=0.005)
    monkeypatch.setattr(patience, "slowdown", lambda: 1.0)
    with pytest.raises(AssertionError, match="not so within"):
        wait_until(lambda: False, timeout_s=0.01, step_s=0.005)
    with pytest.raises(AssertionError, match="took"), patience.within(0.0):
        pass


def test_a_zombie_is_not_alive() -> None:
    """In a container nobody may reap it."""
    process = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    assert is_alive(process.pid)
    assert is_group_alive(process.pid)
    process.kill()
    wait_until(lambda: not is_alive(process.pid))
    assert Path(f"/proc/{process.pid}").exists()
    assert not is_group_alive(process.pid)
    process.wait()
    assert not is_alive(process.pid)


@pytest.mark.parametrize("hour", range(24))
def test_the_machine_of_the_tests_is_far_from_maintenance(hour: int) -> None:
    """Whatever the time of the day, and the day of the week."""
    for day in range(22, 29):
        moment = datetime(2026, 11, day, hour, 59, tzinfo=UTC)
        assert moment.astimezone(ZoneInfo(zone_of_noon(moment))).hour == 12
