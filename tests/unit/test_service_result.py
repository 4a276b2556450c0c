"""systemd's words for the end of a unit in a person's."""

import pytest

from ibkr_tools.service_result import describe_unit_end, process_end


@pytest.mark.parametrize(
    ("result", "code", "status", "expected"),
    [
        ("exit-code", "exited", "78", "failed (exit code 78: something must be configured or installed)"),
        ("exit-code", "exited", "70", "failed (exit code 70: a bug in ibkr-tools)"),
        ("exit-code", "exited", "203", "failed (exit code 203)"),
        ("signal", "killed", "KILL", "was killed by SIGKILL"),
        ("core-dump", "dumped", "SEGV", "crashed"),
        ("oom-kill", "killed", "KILL", "ran out of memory"),
        ("timeout", "killed", "TERM", "took too long to start or to stop"),
        ("watchdog", "killed", "ABRT", "hung"),
        ("start-limit-hit", "exited", "75", "failed too often in a row (exit code 75: there was no session)"),
        ("resources", "", "", "could not be started by systemd"),
        ("something-new", "", "", "failed (something-new)"),
        ("success", "killed", "TERM", "was stopped"),
        ("", "", "", "failed"),
    ],
)
def test_words(result: str, code: str, status: str, expected: str) -> None:
    """The variables of an ExecStopPost=, and of an OnFailure= unit."""
    environ = {"SERVICE_RESULT": result, "EXIT_CODE": code, "EXIT_STATUS": status}
    assert describe_unit_end(environ) == expected
    assert describe_unit_end({f"MONITOR_{name}": value for name, value in environ.items()}, "MONITOR_") == expected


@pytest.mark.parametrize(
    ("status", "out_of_memory", "expected"),
    [
        (-9, False, "was killed by SIGKILL"),
        (-9, True, "ran out of memory"),
        (-11, False, "was killed by SIGSEGV"),
        (70, False, "failed (exit code 70: a bug in ibkr-tools)"),
        (0, False, "was stopped"),
    ],
)
def test_the_end_of_a_process_of_ours(status: int, out_of_memory: bool, expected: str) -> None:
    """Without systemd the words are the same."""
    assert describe_unit_end(process_end(status, out_of_memory=out_of_memory)) == expected
