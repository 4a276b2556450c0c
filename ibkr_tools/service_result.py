"""How a unit has ended, in words: systemd's $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS. Source: systemd.exec(5)."""

import signal
from collections.abc import Mapping

__all__ = ["OUT_OF_MEMORY", "describe_unit_end", "process_end"]

OUT_OF_MEMORY = "oom-kill"
"""The $SERVICE_RESULT of a unit of which the kernel has killed a process for want of memory."""

_RESULT_TEXTS = {
    "core-dump": "crashed",
    OUT_OF_MEMORY: "ran out of memory",
    "exit-code": "failed",
    "protocol": "ended before it was ready",
    "resources": "could not be started by systemd",
    "signal": "was killed",
    "start-limit-hit": "failed too often in a row",
    "success": "was stopped",
    "timeout": "took too long to start or to stop",
    "watchdog": "hung",
}

_EXIT_CODE_TEXTS = {
    "1": "it crashed",
    "2": "its command line is wrong",
    "65": "IBKR's answer was not understood",
    "69": "the gateway did not answer",
    "70": "a bug in ibkr-tools",
    "73": "a file could not be written",
    "75": "there was no session",
    "77": "a person must act",
    "78": "something must be configured or installed",
}


def process_end(status: int, *, out_of_memory: bool = False) -> dict[str, str]:
    """Returns the variables that systemd would set for a process that has ended so.

    Args:
        status: the exit status, negative for a signal, as subprocess has it.
        out_of_memory: the kernel has killed it for want of memory.
    """
    if status < 0:
        result = OUT_OF_MEMORY if out_of_memory else "signal"
        name = signal.Signals(-status).name.removeprefix("SIG")
        return {"SERVICE_RESULT": result, "EXIT_CODE": "killed", "EXIT_STATUS": name}
    return {"SERVICE_RESULT": "exit-code" if status else "success", "EXIT_CODE": "exited", "EXIT_STATUS": str(status)}


def describe_unit_end(environ: Mapping[str, str], prefix: str = "") -> str:
    """Says how a unit ended, such as `failed (exit code 75: there was no session)`.

    Args:
        environ: of an ExecStopPost=, or of an OnFailure= unit.
        prefix: of the variables' names: `MONITOR_` in an OnFailure= unit (since systemd 251).
    """
    result, code, status = (
        environ.get(f"{prefix}{name}", "") for name in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS")
    )
    how = _RESULT_TEXTS.get(result, f"failed ({result})" if result else "failed")
    if code == "exited" and status not in {"", "0"}:
        meaning = _EXIT_CODE_TEXTS.get(status)
        return f"{how} (exit code {status}{f': {meaning}' if meaning else ''})"
    if result == "signal" and status:
        return f"{how} by SIG{status}"
    return how
