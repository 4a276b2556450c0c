"""What the units have written, as the doctor reads it: nothing of theirs keeps the other checks from being told."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.directories import Directories
from ibkr_tools.doctor.examination import Check, _done
from ibkr_tools.doctor.finding import Finding
from ibkr_tools.doctor.gateway_checks import read_tls
from ibkr_tools.doctor.session_checks import check_outbox
from ibkr_tools.doctor.subject import find_subject
from ibkr_tools.gateway import tls
from ibkr_tools.gateway.distribution_identity import _read_accepted
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


@pytest.mark.parametrize("name", [tls.CERTIFICATE_FILE, tls.SPKI_FILE, tls.KEYSTORE_FILE, tls.KEYSTORE_PASSWORD_FILE])
@pytest.mark.parametrize("is_fifo", [True, False])
def test_what_stands_in_the_place_of_the_gateways_files_is_not_waited_for(
    tmp_path: Path, name: str, is_fifo: bool
) -> None:
    """A FIFO that nobody writes to, and a file that is larger than this machine's memory."""
    tls.make_material(tmp_path / "tls", tmp_path / "private")
    path = next(tmp_path.rglob(name))
    path.unlink()
    if is_fifo:
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 1 << 42)
    facts = read_tls(tmp_path / "tls/gateway.pem", tmp_path / "private", None)
    assert (facts.expires is None, facts.is_pair, facts.has_pin) in {
        (True, None, True),
        (False, False, True),
        (False, True, False),
    }


def test_a_list_of_accepted_builds_that_is_no_file_accepts_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "accepted.json")
    assert _read_accepted(tmp_path / "accepted.json") == {}
