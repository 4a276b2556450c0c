"""What a check comes to: a verdict, a sentence, and the command that helps. Pure.

A report that can be published is made of the same findings. So whatever a text takes from this machine or from a person
(a name, an account, an error's own words) is `Private` there, and a report shows `…` in its place.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ibkr_tools import instance as instance_names


class CheckVerdict(StrEnum):
    """`FAULT`: something to do; `NOTICE`: something to know; `UNSEEN`: this user may not look, or nobody can now."""

    OK = "ok"
    UNSEEN = "unseen"
    NOTICE = "notice"
    FAULT = "fault"


@dataclass(frozen=True)
class Private:
    """A text that a published report must not have."""

    text: object


@dataclass(frozen=True)
class Foreign(Private):
    """What may be another instance's, such as who has a port: it keeps its name."""


PUBLIC_PLACES = (
    *(
        Path(place)
        for place in ("/etc/ibkr-tools", "/run/ibkr-tools", "/var/lib/ibkr-tools", "/opt/ibkr-tools", "/usr")
    ),
    *(Path(place) for place in ("/tmp", "/var/tmp")),  # noqa: S108  # names to compare with
)
"""Where everybody's installation is; any other path may have somebody's name in it."""


def place(path: Path) -> "str | Private":
    """Returns a path as part of a text: private unless every installation has it."""
    return str(path) if path in {Path("/"), *PUBLIC_PLACES} or _is_public(path) else Private(path)


def _is_public(path: Path) -> bool:
    return any(path.is_relative_to(known) and len(path.relative_to(known).parts) <= 1 for known in PUBLIC_PLACES)


Part = str | int | Private
Text = Part | tuple[Part, ...]
"""A text in parts: what we have written ourselves, numbers, and what is private."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the result.

    `check` names what was looked at; `remedy` is a command for a shell, None where nobody has to type one.
    """

    check: str
    verdict: CheckVerdict
    message: tuple[Part, ...]
    remedy: tuple[Part, ...] | None = None

    def message_text(self, *, is_public: bool = False) -> str:
        """Returns the sentence; `is_public`: without what is private."""
        return _joined(self.message, is_public=is_public)

    def remedy_text(self, *, is_public: bool = False) -> str | None:
        """Returns the command; `is_public`: without what is private."""
        return None if self.remedy is None else _joined(self.remedy, is_public=is_public)

    def in_names_of(self, instance: str | None) -> "Finding":
        """Returns the finding with the units, directories and commands in it that are those of an instance."""

        def named(parts: tuple[Part, ...]) -> tuple[Part, ...]:
            return tuple(
                part
                if isinstance(part, Foreign)
                else Private(instance_names.in_names_of(str(part.text), instance))
                if isinstance(part, Private)
                else instance_names.in_names_of(part, instance)
                if isinstance(part, str)
                else part
                for part in parts
            )

        remedy = None if self.remedy is None else named(self.remedy)
        return replace(self, message=named(self.message), remedy=remedy)


def _joined(parts: Iterable[Part], *, is_public: bool) -> str:
    return "".join(("…" if is_public else str(part.text)) if isinstance(part, Private) else str(part) for part in parts)


def _parts(text: Text) -> tuple[Part, ...]:
    return text if isinstance(text, tuple) else (text,)


@dataclass(frozen=True)
class Findings:
    """Makes the findings of one check."""

    check: str

    def ok(self, message: Text) -> Finding:
        """Returns that all is well."""
        return Finding(check=self.check, verdict=CheckVerdict.OK, message=_parts(message))

    def unseen(self, message: Text) -> Finding:
        """Returns that it could not be looked at, and why."""
        return Finding(check=self.check, verdict=CheckVerdict.UNSEEN, message=_parts(message))

    def notice(self, message: Text, remedy: Text | None = None) -> Finding:
        """Returns something to know."""
        return Finding(
            check=self.check,
            verdict=CheckVerdict.NOTICE,
            message=_parts(message),
            remedy=None if remedy is None else _parts(remedy),
        )

    def fault(self, message: Text, remedy: Text | None = None) -> Finding:
        """Returns something to do."""
        return Finding(
            check=self.check,
            verdict=CheckVerdict.FAULT,
            message=_parts(message),
            remedy=None if remedy is None else _parts(remedy),
        )


def exit_code(findings: Iterable[Finding]) -> int:
    """Returns 78 if there is something to do, 1 if there is something to know, else 0."""
    verdicts = {finding.verdict for finding in findings}
    return 78 if CheckVerdict.FAULT in verdicts else 1 if CheckVerdict.NOTICE in verdicts else 0


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Returns what there is to do, then what there is to know, each in the order of the checks: a cause comes first."""
    order = (CheckVerdict.FAULT, CheckVerdict.NOTICE, CheckVerdict.UNSEEN, CheckVerdict.OK)
    return sorted(findings, key=lambda finding: order.index(finding.verdict))
