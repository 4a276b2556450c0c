"""The last errors that units of ours have written to the journal. They are past: they make no fault by themselves."""

from collections.abc import Iterable, Iterator

import msgspec

from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.subject import Subject, ask
from ibkr_tools.instance import UNITS

_CHECK = Findings("journal")

SHOWN = 5


class JournalEntry(msgspec.Struct, frozen=True):
    """One entry as `journalctl -o json` prints it; systemd's own about a unit name that in `UNIT`."""

    MESSAGE: str | list[int] | None = None
    SYSLOG_IDENTIFIER: str = ""
    UNIT: str = ""


def check_journal(subject: Subject) -> Iterator[Finding]:
    """Reads the errors of a day, newest last."""
    if not subject.is_installed or not subject.is_booted:
        return
    told = ask(
        [
            *("journalctl", "--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,UNIT"),
            *("--priority=err", "--since=-24h", f"--lines={SHOWN}"),
            *(f"--unit={pattern}" for pattern in unit_patterns(subject.instance)),
        ],
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if told.status != 0:
        yield _CHECK.unseen("this user may not read the journal")
        return
    yield from judge_journal(_entries(told.output.splitlines()))


def unit_patterns(instance: str | None) -> list[str]:
    """Returns patterns of the names of an instance's units, which fit none of another's."""
    if instance is not None:
        return [f"ibkr-*@{instance}.*"]
    return [*(f"ibkr-{name}.*" for name in (*UNITS, "simulator")), "ibkr-alert@*"]


def _entries(lines: Iterable[str]) -> Iterator[JournalEntry]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=JournalEntry)
        except msgspec.DecodeError:
            continue


_NAMES = frozenset({"systemd", *(f"ibkr-{name}" for name in (*UNITS, "simulator"))})
"""Every installation has these."""


def _public_name(name: str) -> str | Private:
    """Returns who has written an entry: private where that is an instance, or a command of somebody's own."""
    return name if name.removesuffix(".service") in _NAMES else Private(name)


def judge_journal(entries: Iterable[JournalEntry]) -> Iterator[Finding]:
    """Yields the errors."""
    shown = [
        _CHECK.ok((_public_name(entry.SYSLOG_IDENTIFIER or entry.UNIT), ": ", Private(entry.MESSAGE)))
        for entry in entries
        if isinstance(entry.MESSAGE, str)
    ]
    yield from shown or [_CHECK.ok("no errors within a day")]
