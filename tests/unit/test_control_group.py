"""What the kernel says about memory and processes, in both versions of its interface."""

from pathlib import Path

import pytest

from ibkr_tools.control_group import Shortages, describe_shortage, read_shortages

MB = 1 << 20
UNIT = "system.slice/ibkr-login.service"


def write(root: Path, **files: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    write(tmp_path / "proc", vmstat="pgfault 7\noom_kill 4\n")
    (tmp_path / "proc/self").mkdir()
    return tmp_path / "proc"


def test_version_2(tmp_path: Path, proc: Path) -> None:
    """The lowest limit above counts too; the counters are the group's own."""
    (proc / "self/cgroup").write_text(f"0::/{UNIT}\n")
    group = tmp_path / "cgroup" / UNIT
    write(group, memory__events="low 0\noom 3\noom_kill 2\n", memory__max="max\n", pids__events="max 5\n")
    write(group.parent, memory__max=f"{350 * MB}\n", pids__max="90\n", memory__events="oom_kill 9\n")
    assert read_shortages(proc, tmp_path / "cgroup") == Shortages(
        oom_kills=2,
        machine_oom_kills=4,
        refused_processes=5,
        unit="ibkr-login.service",
        memory_limit=350 * MB,
        process_limit=90,
    )


def test_version_1(tmp_path: Path, proc: Path) -> None:
    """A limit that is none is a large number there."""
    (proc / "self/cgroup").write_text(f"9:name=systemd:/{UNIT}\n8:pids:/{UNIT}\n4:memory:/{UNIT}\n0::/\n")
    write(tmp_path / "cgroup/pids" / UNIT, pids__events="max 1\n", pids__max="max\n")
    write(
        tmp_path / "cgroup/memory" / UNIT,
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        memory__limit_in_bytes="9223372036854771712\n",
    )
    shortages = read_shortages(proc, tmp_path / "cgroup")
    assert (shortages.oom_kills, shortages.refused_processes, shortages.unit) == (3, 1, "ibkr-login.service")
    assert (shortages.memory_limit, shortages.process_limit) == (None, None)


def test_a_container_whose_group_is_the_root(tmp_path: Path, proc: Path) -> None:
    """The path is the machine's, and the directory of that name is not to be seen."""
    (proc / "self/cgroup").write_text("0::/docker/0123\n")
    write(tmp_path / "cgroup", memory__events="oom_kill 1\n", memory__max=f"{300 * MB}\n")
    shortages = read_shortages(proc, tmp_path / "cgroup")
    assert (shortages.oom_kills, shortages.memory_limit, shortages.unit) == (1, 300 * MB, None)


def test_where_nobody_tells(tmp_path: Path) -> None:
    assert read_shortages(tmp_path, tmp_path) == Shortages()
    assert describe_shortage(Shortages(), Shortages()) is None


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            Shortages(oom_kills=1, machine_oom_kills=1, unit="ibkr-login.service", memory_limit=350 * MB),
            ["memory ran out", "350 MB", "500 MB", "systemctl edit ibkr-login.service", "MemoryMax="],
        ),
        (Shortages(oom_kills=1), ["memory ran out", "container's memory limit"]),
        (Shortages(machine_oom_kills=1, refused_processes=1), ["memory ran out on this machine", "swap"]),
        (
            Shortages(refused_processes=1, process_limit=90, unit="ibkr-login.service"),
            ["90 processes", "systemctl edit ibkr-login.service: TasksMax="],
        ),
    ],
)
def test_what_is_said(now: Shortages, words: list[str]) -> None:
    """What ran out, how much there is, and what to set."""
    said = describe_shortage(Shortages(), now)
    assert said is not None
    assert all(word in said for word in words)
    assert describe_shortage(now, now) is None
