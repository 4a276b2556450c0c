"""What the units have written, as the doctor reads it: nothing of theirs keeps the other checks from being told."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.directories import Directories
from ibkr_tools.doctor.examination import Check, _done
from ibkr_tools.doctor.finding import Finding
from ibkr_tools.doctor.session_checks import check_outbox
from ibkr_tools.doctor.subject import find_subject
from ibkr_tools.status import utc_now


@pytest.mark.parametrize("moment_s", [2**40, 2**55, 2**62, 2**63 - 1, -(2**62)])
def test_a_message_may_be_of_any_time(moment_s: int) -> None:
    """As a file system in memory keeps it, where the outbox is."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        place = Path(folder)
        directories = Directories(configuration=place, runtime=place, state=place)
        directories.outbox.mkdir()
        message = directories.outbox / "1.json"
        message.touch()
        os.utime(message, (moment_s, moment_s))
        subject = find_subject(directories, directories.config_file, is_online=False, now=utc_now())
        (found,) = check_outbox(subject)
    assert found.message_text().startswith("1 messages")


@pytest.mark.parametrize("error", [OverflowError("too large"), ValueError("none"), RecursionError(), OSError(5, "x")])
def test_a_check_that_cannot_be_done_says_so(error: Exception) -> None:
    def check() -> Iterator[Finding]:
        raise error
        yield

    (found,) = _done(Check(name="x", run=check))
    assert found.message_text().startswith("cannot be looked at")
