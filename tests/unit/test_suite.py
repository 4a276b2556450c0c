"""What the tests promise of themselves: results say nothing of the machine's age, load, time of day, or who reaps."""

import ast
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings

from tests.support import patience
from tests.support.checkout import CHECKOUT
from tests.support.daytime import zone_of_noon
from tests.support.simulation import wait_until
from tests.support.syntax_trees import nodes_of

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
        for node in nodes_of(path)
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


@pytest.mark.parametrize("layer", ["unit", "process"])
def test_the_tests_of_a_module_are_found_by_its_name(layer: str) -> None:
    """The layer's folders are packages, and a test that is named like a module stands in the folder of its package."""
    package, tests = CHECKOUT / "ibkr_tools", CHECKOUT / "tests" / layer
    homes: dict[str, set[str]] = {}
    for module in package.rglob("*.py"):
        homes.setdefault(module.stem, set()).add(module.parent.relative_to(package).as_posix())
    found = {path: path.parent.relative_to(tests).as_posix() for path in tests.rglob("test_*.py")}
    assert {folder for folder in found.values() if not (package / folder / "__init__.py").exists()} == set()
    assert [
        path.relative_to(tests).as_posix()
        for path, folder in sorted(found.items())
        if folder not in homes.get(path.stem.removeprefix("test_"), {folder})
    ] == []
