"""At most four reads under way, whoever asks, whoever dies; and nobody waits for ever."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from ibkr_tools.errors import RateLimited
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS, POLL_INTERVAL_S, ReadSemaphore
from tests.support.simulation import wait_until

HOLD = """
import sys, threading
from contextlib import ExitStack
from pathlib import Path
from ibkr_tools.portal.read_semaphore import ReadSemaphore
with ExitStack() as held:
    for _ in range(int(sys.argv[2])):
        held.enter_context(ReadSemaphore(Path(sys.argv[1])).acquire(5.0, threading.Event().wait))
    print("holds", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path, number: int) -> "subprocess.Popen[str]":
    """Starts a process that holds some of the four until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    """Kills it and takes its remains away."""
    process.kill()
    process.communicate()


def most_free(folder: Path) -> int:
    """Says how many are free now."""
    with ExitStack() as held:
        for number in range(MAX_CONCURRENT_READS + 1):
            try:
                held.enter_context(ReadSemaphore(folder).acquire(0.0, lambda _: None))
            except RateLimited:
                return number
    raise AssertionError("more than four")


def test_four_and_no_more(tmp_path: Path) -> None:
    assert most_free(tmp_path) == MAX_CONCURRENT_READS
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600, 0o660}


def test_all_processes_share_them_and_a_dead_one_holds_none(tmp_path: Path) -> None:
    process = holder(tmp_path, 3)
    try:
        assert most_free(tmp_path) == 1
    finally:
        end(process)
    assert most_free(tmp_path) == MAX_CONCURRENT_READS


def test_a_stopped_process_keeps_its_own_and_the_others_do_not_hang(tmp_path: Path) -> None:
    process = holder(tmp_path, MAX_CONCURRENT_READS)
    os.kill(process.pid, signal.SIGSTOP)
    paused: list[float] = []
    told: list[float] = []
    try:
        with (
            pytest.raises(RateLimited, match="4 reads are under way, and none of them ended within 3 s"),
            ReadSemaphore(tmp_path).acquire(3.0, paused.append, told.append),
        ):
            pytest.fail("there was no room")
    finally:
        end(process)
    assert sum(paused) == pytest.approx(3.0)
    assert told == [2.0]


def test_who_waits_is_served_when_one_ends(tmp_path: Path) -> None:
    process = holder(tmp_path, MAX_CONCURRENT_READS)
    assert process.stdin is not None
    steps: list[float] = []

    def pause(seconds: float) -> None:
        steps.append(seconds)
        if len(steps) == 5:
            end(process)

    with ReadSemaphore(tmp_path).acquire(30.0, pause) as waited_s:
        assert waited_s == pytest.approx(5 * POLL_INTERVAL_S)


def test_who_has_just_had_one_lets_others_go_first(tmp_path: Path) -> None:
    """Four that come again at once would keep everybody else out for as long as they have work."""
    stop, served = threading.Event(), threading.Event()

    def busy() -> None:
        mine = ReadSemaphore(tmp_path)
        while not stop.is_set():
            with mine.acquire(30.0, threading.Event().wait):
                stop.wait(0.01)

    def waiting() -> None:
        for _ in range(10):
            with ReadSemaphore(tmp_path).acquire(5.0, threading.Event().wait):
                stop.wait(0.01)
        served.set()

    threads = [threading.Thread(target=work) for work in [*[busy] * MAX_CONCURRENT_READS, waiting]]
    for thread in threads:
        thread.start()
    try:
        wait_until(served.is_set, 20.0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("missing", ["folder", "no folder at all"])
def test_without_the_directory_a_process_obeys_its_own_four(tmp_path: Path, missing: str) -> None:
    (tmp_path / "folder").write_text("a file where a directory should be")
    semaphore = ReadSemaphore(tmp_path / missing)
    with ExitStack() as held:
        for _ in range(MAX_CONCURRENT_READS):
            held.enter_context(semaphore.acquire(0.0, lambda _: None))
        with pytest.raises(RateLimited), semaphore.acquire(0.0, lambda _: None):
            pytest.fail("there was no room")
    with semaphore.acquire(0.0, lambda _: None) as waited_s:
        assert waited_s == 0.0
