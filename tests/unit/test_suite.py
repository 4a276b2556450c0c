"""What the tests promise of themselves: results say nothing of the machine's age, load, time of day, or who reaps."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings

from tests.support import patience
from tests.support.daytime import zone_of_noon
from tests.support.simulation import wait_until

CHECKOUT = Path(__file__).parents[2]
CLOCKS = "monotonic|monotonic_ns|clock_gettime|clock_gettime_ns|perf_counter"
SUSPECT = re.compile(rf"\b({CLOCKS})\([\w.]*\)\s*[-*]")


def test_hypothesis_has_no_deadline(request: pytest.FixtureRequest) -> None:
    """How long an example takes says how busy the machine is: of no test that is run beside this one."""
    ours: list[settings] = [settings()]
    for item in request.session.items:
        if isinstance(item, pytest.Function):
            ours += [found for name, found in vars(item.obj).items() if isinstance(found, settings)]
            ours += [item.cls.settings] if isinstance(getattr(item.cls, "settings", None), settings) else []
    assert {each.deadline for each in ours} == {None}
    assert all(HealthCheck.too_slow in each.suppress_health_check for each in ours)


def test_no_clock_is_set_back_from_now() -> None:
    """On a machine that was booted a minute ago, ten minutes ago is below zero."""
    files = [path for folder in ("ibkr_tools", "tests", "bench") for path in (CHECKOUT / folder).rglob("*.py")]
    texts = {path: path.read_text() for path in files}
    set_back = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path, text in texts.items()
        if SUSPECT.search(text)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub | ast.Mult)
        and isinstance(node.left, ast.Call)
        and re.fullmatch(CLOCKS, ast.unparse(node.left.func).rpartition(".")[2])
        and isinstance(node.right, ast.Constant)
    ]
    assert set_back == []


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


@pytest.mark.parametrize("hour", range(24))
def test_the_machine_of_the_tests_is_far_from_maintenance(hour: int) -> None:
    """Whatever the time of the day, and the day of the week."""
    for day in range(22, 29):
        moment = datetime(2026, 11, day, hour, 59, tzinfo=UTC)
        assert moment.astimezone(ZoneInfo(zone_of_noon(moment))).hour == 12
