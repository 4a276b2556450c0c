"""The machine's clock, memory and disks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools.doctor import machine_checks
from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.machine_checks import ClockFacts, FileSystem, judge_clock, judge_disk, judge_memory
from ibkr_tools.doctor.subject import Extent

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MB = 1 << 20


@pytest.mark.parametrize(
    ("made", "written", "shift_s", "synchronised", "verdict"),
    [
        (-86_400, -5, 0.1, True, CheckVerdict.OK),
        (None, None, None, None, CheckVerdict.OK),
        (30, 30, 30.0, None, CheckVerdict.OK),
        (3600, None, None, True, CheckVerdict.FAULT),
        (-5, 3600, None, True, CheckVerdict.FAULT),
        (-5, -5, -3600.0, True, CheckVerdict.FAULT),
        (-5, -5, 90.0, True, CheckVerdict.FAULT),
        (-5, -5, 0.0, False, CheckVerdict.NOTICE),
    ],
)
def test_a_wrong_clock_shows(
    made: int | None, written: int | None, shift_s: float | None, synchronised: bool | None, verdict: CheckVerdict
) -> None:
    def moment(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    facts = ClockFacts(
        now=NOW, made_at=moment(made), written_at=moment(written), shift_s=shift_s, synchronised=synchronised
    )
    (found,) = judge_clock(facts)
    assert found.verdict is verdict
    assert found.remedy_text() == (None if verdict is CheckVerdict.OK else "sudo timedatectl set-ntp true")


@pytest.mark.parametrize(
    ("left", "total", "verdict"),
    [
        (2000, 4000, CheckVerdict.OK),
        (500, 800, CheckVerdict.NOTICE),
        (449, 4000, CheckVerdict.FAULT),
        (0, 0, CheckVerdict.FAULT),
    ],
)
def test_a_login_needs_memory(left: int, total: int, verdict: CheckVerdict) -> None:
    values = {"MemTotal": total, "MemAvailable": left}
    assert next(judge_memory(values, extent=Extent.FULL)).verdict is verdict


def test_swap_counts_and_statements_need_little() -> None:
    swapped = {"MemTotal": 500, "MemAvailable": 200, "SwapTotal": 1000, "SwapFree": 900}
    assert next(judge_memory(swapped, extent=Extent.FULL)).verdict is CheckVerdict.OK
    small = {"MemTotal": 250, "MemAvailable": 120}
    assert next(judge_memory(small, extent=Extent.STATEMENTS)).verdict is CheckVerdict.OK


def system(
    *,
    free: int = 1000 * MB,
    has_names: bool = True,
    is_read_only: bool = False,
    kind: str = "ext4",
    size: int = 2000 * MB,
) -> FileSystem:
    return FileSystem(
        path=Path("/var/lib/ibkr-tools"),
        mount=Path("/var"),
        size=size,
        free=free,
        has_names=has_names,
        is_read_only=is_read_only,
        kind=kind,
    )


@pytest.mark.parametrize(
    ("facts", "verdict", "command"),
    [
        (system(), CheckVerdict.OK, None),
        (system(size=0, free=0), CheckVerdict.OK, None),
        (system(free=100 * MB, kind="tmpfs"), CheckVerdict.OK, None),
        (system(free=100 * MB), CheckVerdict.NOTICE, "du -xh --max-depth=2 /var"),
        (system(free=0), CheckVerdict.FAULT, "du -xh --max-depth=2 /var"),
        (system(free=0, kind="tmpfs"), CheckVerdict.FAULT, "mount -o remount,size=2032M /var"),
        (system(has_names=False), CheckVerdict.FAULT, "df -i /var"),
        (system(is_read_only=True), CheckVerdict.FAULT, "mount -o remount,rw /var"),
    ],
)
def test_what_cannot_be_written_is_named(facts: FileSystem, verdict: CheckVerdict, command: str | None) -> None:
    (found,) = judge_disk([facts])
    assert found.verdict is verdict
    assert (command or "") in (found.remedy_text() or "")


def test_each_file_system_is_told_once(tmp_path: Path) -> None:
    places = [tmp_path, tmp_path / "not there", tmp_path.parent]
    assert len(machine_checks.read_file_systems(places)) == 1


def test_shared_memory_is_for_everybody(tmp_path: Path) -> None:
    shared = tmp_path / "shm"
    assert next(machine_checks.check_shared_memory(shared)).verdict is CheckVerdict.FAULT
    shared.mkdir()
    shared.chmod(0o755)
    assert next(machine_checks.check_shared_memory(shared)).remedy_text() == f"sudo chmod 1777 {shared}"
    shared.chmod(0o1777)
    assert next(machine_checks.check_shared_memory(shared)).verdict is CheckVerdict.OK
