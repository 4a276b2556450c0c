"""What ibkr-snapshot.service answers to the members of the group who have asked for `fetch --save`."""

from pathlib import Path

import msgspec

from ibkr_tools import files

ANSWER_SCHEMA = 1
"""The schema of the file."""


AnswerLine = tuple[int, str]
"""A line for standard error, and its level of Python's logging."""


class FetchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a fetch has ended that was asked for.

    `begun_s` is when it took the request away, in seconds of the clock that `time.monotonic` reads: all processes of a
    boot share it, and nobody sets it.
    """

    begun_s: float
    exit_code: int = 0
    lines: tuple[AnswerLine, ...] = ()
    schema: int = ANSWER_SCHEMA


def write(path: Path, answer: FetchAnswer) -> None:
    """Leaves the answer, which the group may read, in the place of the last one.

    Raises:
        OSError: the directory cannot be written.
    """
    files.write_atomically(path, msgspec.json.encode(answer), mode=0o640, fsync=False)


def read(path: Path) -> FetchAnswer | None:
    """Returns the last answer; None: there is none that this version understands."""
    try:
        answer = msgspec.json.decode(files.read_regular(path), type=FetchAnswer)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer if answer.schema == ANSWER_SCHEMA else None
