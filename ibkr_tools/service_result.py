"""How a unit has ended, in words: systemd's $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS. Source: systemd.exec(5)."""

from collections.abc import Mapping

__all__ = ["describe_unit_end"]

_RESULT_TEXTS = {
    "core-dump": "crashed",
    "oom-kill": "ran out of memory",
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
