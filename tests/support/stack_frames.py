"""Counts our own stack frames between a command line and the requests that it sends.

    python -P -m tests.support.stack_frames fetch --jq .positions

runs the command and prints one JSON object on standard error: the frames of each request, by where it was sent from.
"""

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import requests

import ibkr_tools
from ibkr_tools.cli import main

PACKAGE = str(Path(ibkr_tools.__file__).parent)


def own_frames(frame: FrameType | None) -> list[str]:
    """Returns the functions of our own that lead to a frame, the outermost first."""
    names = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return names[::-1]


class FrameCounter:
    """Takes note of the frames of each request; those of whoever gave it to a worker thread come first."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._submitted_by = threading.local()

    def install(self) -> None:
        """Puts itself between us and the libraries, for as long as the process lives."""
        send, submit = requests.Session.send, ThreadPoolExecutor.submit

        def counted_send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            frames = own_frames(sys._getframe(1))
            submitted_by = getattr(self._submitted_by, "frames", [])
            self.requests.append({"url": request.path_url, "submitted_by": submitted_by, "frames": frames})
            return send(session, request, **options)

        def counted_submit(executor: Any, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
            submitted_by = own_frames(sys._getframe(1))

            def run() -> Any:
                self._submitted_by.frames = submitted_by
                return function(*args, **options)

            return submit(executor, run)

        requests.Session.send = counted_send  # type: ignore[method-assign, assignment]
        ThreadPoolExecutor.submit = counted_submit  # type: ignore[method-assign]


if __name__ == "__main__":
    counter = FrameCounter()
    counter.install()
    try:
        main()
    finally:
        print(json.dumps(counter.requests), file=sys.stderr)
