"""Snapshots that several processes save, and that a killed one leaves."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ibkr_tools.errors import ConfigError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot_document import SnapshotDocument
from tests.support.stored_snapshots import DAY, NOON, document, names, said

# Killed, full, crowded.


class Doomed(SnapshotDocument):
    """A document whose writer is killed when the audit events it causes have reached a number."""

    def chunks(self) -> Iterator[bytes]:
        """Yields one byte at a time; each is an event."""
        for chunk in super().chunks():
            for number in range(0, len(chunk), 64):
                sys.audit("test.chunk")
                yield chunk[number : number + 64]


def _save_and_die(folder: Path, at: int) -> bool:
    """Saves in a child that is killed at its event number `at`; says whether it was."""
    new = document("new" * 40)
    new.__class__ = Doomed
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, _: object) -> None:
            nonlocal count
            # To send a signal is an event too.
            count += event.startswith(("open", "os.", "fcntl.", "test.")) and event != "os.kill"
            if count > at and event != "os.kill":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        snapshot_store.save(folder, new, 3, NOON + 10 * DAY)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return code != 0


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Latest is the old or the new one, whole; copies go only when the new one is safe; the next run tidies up."""
    outcomes = set()
    for at in range(1000):
        folder = tmp_path / str(at)
        for number in range(3):
            snapshot_store.save(folder, document(str(number)), 30, NOON + number * DAY)
        killed = _save_and_die(folder, at)
        found = said(snapshot_store.read_latest(folder))
        assert found in {"2", "new" * 40}
        there = snapshot_store.list_copies(folder)
        assert len(there) >= 3 or found != "2", "an old copy went before the new snapshot was safe"
        assert all(said(snapshot_store.read_snapshot(copy.path)) for copy in there), (
            "a copy has its name before it is whole"
        )
        outcomes.add((found == "2", len(there)))
        snapshot_store.save(folder, document("next"), 3, NOON + 11 * DAY)
        assert not [name for name in names(folder) if name.startswith(".")]
        assert {copy.saved_at for copy in snapshot_store.list_copies(folder)} <= {NOON + 10 * DAY, NOON + 11 * DAY}
        if not killed:
            break
    else:
        pytest.fail("it never ended")
    assert {(True, 3), (True, 4), (False, 4), (False, 1)} <= outcomes, "every stage was seen"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
@pytest.mark.parametrize("keep_days", [0, 1])
def test_a_full_disk_leaves_everything(tmp_path: Path, environment: dict[str, str], keep_days: int) -> None:
    """A tmpfs of 64 kB in a mount namespace of its own; random text, which does not pack."""
    program = (
        "import os, sys; from datetime import timedelta; from pathlib import Path\n"
        "from ibkr_tools import entrypoint; from ibkr_tools.fetch import snapshot_store\n"
        "from tests.support.stored_snapshots import DAY, NOON, document\n"
        "folder = Path(sys.argv[1]); snapshot_store.save(folder, document('old'), 1, NOON)\n"
        "def all_of_it(): return {path.name: path.read_bytes() for path in folder.iterdir()}\n"
        "before = all_of_it()\n"
        "big = document(os.urandom(35_000).hex())\n"
        f"code = entrypoint.run(lambda: snapshot_store.save(folder, big, {keep_days}, NOON + 9 * DAY) and None)\n"
        "assert all_of_it() == before, list(folder.iterdir())\n"
        "sys.exit(code)"
    )
    script = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script, "sh", str(tmp_path), sys.executable, program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 73, done.stderr
    assert "No space left on device" in done.stderr
    assert "What was saved before is intact" in done.stderr


def _save_often(folder: Path, who: str) -> None:
    for number in range(25):
        snapshot_store.save(folder, document(f"{who}{number}", times=500), 30, NOON + timedelta(seconds=number))


def test_several_at_once(tmp_path: Path) -> None:
    """Whoever reads meanwhile sees a whole one every time."""
    snapshot_store.save(tmp_path, document("first"), 30, NOON)
    workers = [multiprocessing.get_context("spawn").Process(target=_save_often, args=(tmp_path, who)) for who in "abc"]
    for worker in workers:
        worker.start()
    reads = 0
    while any(worker.is_alive() for worker in workers):
        assert said(snapshot_store.read_latest(tmp_path))
        reads += 1
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert reads > 10
    assert all(said(snapshot_store.read_snapshot(copy.path)) for copy in snapshot_store.list_copies(tmp_path))
    assert len(snapshot_store.list_copies(tmp_path)) == 25
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize("look", [snapshot_store.read_latest, snapshot_store.list_copies])
def test_whoever_may_not_read_it_is_told_whom_to_ask(tmp_path: Path, look: Callable[[Path], object]) -> None:
    snapshot_store.save(tmp_path / "snapshots", document(), 30, NOON)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            look(tmp_path / "snapshots")
        except ConfigError as error:
            os._exit(error.exit_code if error.hint and "adduser $USER ibkr &&" in error.hint else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 78
