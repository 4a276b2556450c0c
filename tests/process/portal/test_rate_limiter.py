"""Several processes share one request budget."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.portal.endpoints import POSITIONS, SUMMARY, Endpoint
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from tests.support.slots import most_in_a_second


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_person_without_rights_obeys_what_others_reserved(open_path: Path, environment: dict[str, str]) -> None:
    shared = SharedRateLimiter(open_path / "pacing.json")
    shared.record_429()
    program = (
        "import os, sys; from pathlib import Path\n"
        "from ibkr_tools.portal.rate_limiter import SharedRateLimiter\n"
        "from ibkr_tools.portal.endpoints import SUMMARY\n"
        "from ibkr_tools.errors import RateLimited\n"
        "os.seteuid(65534)\n"
        "try: SharedRateLimiter(Path(sys.argv[1])).acquire(SUMMARY, 1.0)\n"
        "except RateLimited: print('waits')\n"
        "print(SharedRateLimiter(Path(sys.argv[2])).acquire(SUMMARY, 1.0).wait_s)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(open_path / "pacing.json"), str(open_path / "new" / "pacing.json")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["waits", "0.0"]


def _claim(path: Path, times: int, endpoint: Endpoint) -> list[float]:
    shared = SharedRateLimiter(path)
    return [shared.acquire(endpoint, 60.0).at_s for _ in range(times)]


def test_several_processes_together_keep_the_limits(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        jobs = [
            pool.apply_async(_claim, (tmp_path / "pacing.json", 12, endpoint))
            for endpoint in (SUMMARY, POSITIONS, SUMMARY)
        ]
        slots = sorted(slot for job in jobs for slot in job.get())
    stated = json.loads((tmp_path / "pacing.json").read_bytes())["slots"]
    assert most_in_a_second(stated) <= 8
    assert all(later - earlier >= 1.0 for earlier, later in zip(slots, slots[8:], strict=False))
