"""What a login has in memory: no core file of it, and no look into it for other processes of the same user."""

import os
import pwd
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two processes of another user")

HOLDER = textwrap.dedent(
    """
    import os, resource, signal, sys
    from ibkr_tools.login.memory_protection import forbid_core_files, hide_memory
    uid, hides, directory = int(sys.argv[1]), sys.argv[2] == "hides", sys.argv[3]
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    os.chdir(directory)
    # What runs in the background of a shell is born deaf to it.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if uid:
        os.setgroups([]); os.setgid(uid); os.setuid(uid)
    # As after execve(2): a process that has changed its user is hidden anyway.
    hide_memory(hidden=False)
    if hides:
        forbid_core_files()
        hide_memory()
    print("ready", *resource.getrlimit(resource.RLIMIT_CORE), flush=True)
    signal.pause()
    """
)

LOOKER = textwrap.dedent(
    """
    import os, sys
    uid, pid = int(sys.argv[1]), sys.argv[2]
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
    for name in ("mem", "environ"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
            print(name, "open")
        except PermissionError:
            print(name, "denied")
    """
)


def holder(directory: Path, *, hides: bool, uid: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLDER, str(uid), "hides" if hides else "does not", str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT])
def test_no_core_file(tmp_path: Path, how: signal.Signals) -> None:
    """A crash, a watchdog's SIGABRT, Ctrl-backslash: the kernel itself says whether it made a core file."""
    with holder(tmp_path, hides=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready 0 0\n"
        process.send_signal(how)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -how
    assert os.WTERMSIG(status) == how
    assert not os.WCOREDUMP(status)
    assert not list(tmp_path.iterdir())


@needs_root
@pytest.mark.parametrize("hides", [True, False])
def test_no_look_into_memory(tmp_path: Path, hides: bool) -> None:
    """A browser that was taken over is the same user; without the call it would see the password."""
    tmp_path.chmod(0o755)
    nobody = pwd.getpwnam("nobody").pw_uid
    with holder(tmp_path, hides=hides, uid=nobody) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
            command = [sys.executable, "-c", LOOKER, str(nobody), str(process.pid)]
            seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        finally:
            process.kill()
    word = "denied" if hides else "open"
    assert seen[:2] == [f"mem {word}", f"environ {word}"]
