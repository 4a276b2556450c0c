"""What a program prints that is asked something: within a time, and no more than a bound."""

import os
import selectors
import subprocess
import time
from typing import IO, Protocol

MAX_OUTPUT_BYTES = 64 * 1024
"""In bytes; a code, or a version, and perhaps some lines around it."""


class RunningProcess(Protocol):
    """A program that runs, as subprocess.Popen has it."""

    @property
    def pid(self) -> int:
        """Its number, and that of its process group."""

    @property
    def returncode(self) -> int | None:
        """How it ended, negative for a signal."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe with what it prints."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """The pipe with what it complains of."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; raises subprocess.TimeoutExpired."""


def read_output(process: RunningProcess, timeout_s: float) -> tuple[bytes, bytes]:
    """Waits for the end of a process with two pipes; returns what it has printed and the last of its complaints.

    Raises:
        TimeoutError: it takes longer, or whoever it has started keeps its output open.
        OverflowError: it has printed more than `MAX_OUTPUT_BYTES` bytes.
    """
    if process.stdout is None or process.stderr is None:
        raise AssertionError("both are pipes")
    out, errors = bytearray(), bytearray()
    deadline_s = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, out)
        pipes.register(process.stderr, selectors.EVENT_READ, errors)
        while pipes.get_map():
            if (left_s := deadline_s - time.monotonic()) <= 0:
                raise TimeoutError
            for key, _ in pipes.select(left_s):
                if data := os.read(key.fd, MAX_OUTPUT_BYTES):
                    key.data.extend(data)
                else:
                    pipes.unregister(key.fileobj)
            if len(out) > MAX_OUTPUT_BYTES:
                raise OverflowError
            del errors[:-MAX_OUTPUT_BYTES]
    try:
        process.wait(max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(out), bytes(errors)


def run_and_read(
    command: list[str], timeout_s: float, environment: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Runs a program that says something about itself, such as its version; returns its exit code and both outputs.

    Raises:
        OSError: it cannot be started.
        TimeoutError, OverflowError: see `read_output`; it has ended.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        try:
            out, errors = read_output(process, timeout_s)
        finally:
            # One that has ended is not sent anything.
            process.kill()
    return process.returncode, out.decode(errors="replace"), errors.decode(errors="replace")
