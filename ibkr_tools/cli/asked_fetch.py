"""`fetch --save --unattended`: takes the request of members away, and leaves them an answer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ibkr_tools import fetch_answer, files
from ibkr_tools.directories import Directories
from ibkr_tools.entrypoint import EX_SOFTWARE
from ibkr_tools.errors import IbkrError, OutputError
from ibkr_tools.fetch_answer import AnswerLine, FetchAnswer


@contextmanager
def answering(directories: Directories, *, is_asked: bool) -> Iterator[list[AnswerLine]]:
    """Lends a list for the lines that a fetch tells people; they, or why it has failed, are the answer.

    The request goes first: one that comes during the fetch is for the next one.

    Args:
        directories: where request and answer are.
        is_asked: whether there is somebody to answer; without, nothing is touched.

    Raises:
        OutputError: the request cannot be taken away, or the answer not be written.
    """
    told: list[AnswerLine] = []
    if not is_asked:
        yield told
        return
    begun_s = time.monotonic()
    try:
        files.remove(directories.snapshot_request)
    except OSError as error:
        raise OutputError(f"{directories.snapshot_request}: {error.strerror}") from error
    try:
        yield told
    except IbkrError as error:
        lines = [(error.log_level, f"error: {error.message}")]
        if error.hint:
            lines.append((error.log_level, f"hint: {error.hint}"))
        _answer(directories, FetchAnswer(begun_s=begun_s, exit_code=error.exit_code, lines=tuple(lines)))
        raise
    except Exception:
        line = (40, "error: the fetch has met a bug of ibkr-tools; `ibkr-tools logs snapshot` shows it")
        _answer(directories, FetchAnswer(begun_s=begun_s, exit_code=EX_SOFTWARE, lines=(line,)))
        raise
    _answer(directories, FetchAnswer(begun_s=begun_s, lines=tuple(told)))


def _answer(directories: Directories, answer: FetchAnswer) -> None:
    try:
        fetch_answer.write(directories.fetch_answer, answer)
    except OSError as error:
        raise OutputError(f"{directories.fetch_answer}: {error.strerror}") from error
