"""How the result is shown: lines for a person, JSON for a script, and a report that can be published. Pure."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from ibkr_tools.doctor.finding import CheckVerdict, Finding, exit_code, in_order
from ibkr_tools.number_format import wrap_text
from ibkr_tools.terminal_escape import replace_unprintable

WIDTH = 80
_NAME_WIDTH = 17
_MARKS = {
    CheckVerdict.OK: "ok",
    CheckVerdict.UNSEEN: "unseen",
    CheckVerdict.NOTICE: "notice",
    CheckVerdict.FAULT: "FAULT",
}
_INDENT = 7 + _NAME_WIDTH + 1


def as_text(findings: Sequence[Finding], *, everything: bool, is_public: bool = False) -> str:
    """Returns a line for each fault and each notice, the command that helps below it, and a summary.

    `everything`: also what is well, in the order of the checks. Commands are never broken into lines.
    """
    shown = list(findings) if everything else [entry for entry in in_order(findings) if _needs_a_person(entry)]
    lines = list[str]()
    for finding in shown:
        lines += _lines(finding, is_public=is_public)
    return "\n".join([*lines, summary(findings)])


def _needs_a_person(finding: Finding) -> bool:
    return finding.verdict in {CheckVerdict.NOTICE, CheckVerdict.FAULT}


def _lines(finding: Finding, *, is_public: bool) -> list[str]:
    head = f"{_MARKS[finding.verdict]:<7}{finding.check:<{_NAME_WIDTH}} "
    text = replace_unprintable(finding.message_text(is_public=is_public))
    lines = wrap_text(text, WIDTH, first=head, indent=" " * _INDENT)
    remedy = finding.remedy_text(is_public=is_public)
    return [*lines, *([f"  {replace_unprintable(remedy)}"] if remedy is not None else [])]


def summary(findings: Sequence[Finding]) -> str:
    """Returns how many checks there were, and what they came to, in one line."""
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in CheckVerdict}
    parts = [f"{counts[CheckVerdict.FAULT]} to do"] if counts[CheckVerdict.FAULT] else ["nothing to do"]
    parts += [f"{counts[CheckVerdict.NOTICE]} to know"] if counts[CheckVerdict.NOTICE] else []
    parts += [f"{counts[CheckVerdict.UNSEEN]} not to be seen by this user"] if counts[CheckVerdict.UNSEEN] else []
    return f"{len(findings)} checks: {', '.join(parts)}"


def as_json(findings: Sequence[Finding], about: Mapping[str, str], *, is_public: bool = False) -> str:
    """Returns all findings as JSON, in the order of the checks."""
    document = {
        "schema": 1,
        "about": dict(about),
        "exit_code": exit_code(findings),
        "checks": [
            {
                "check": finding.check,
                "verdict": finding.verdict.value,
                "message": finding.message_text(is_public=is_public),
                "remedy": finding.remedy_text(is_public=is_public),
            }
            for finding in findings
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def as_report(findings: Sequence[Finding], about: Mapping[str, str]) -> str:
    """Returns everything as text for a public issue, without what is private."""
    width = max(map(len, about), default=0)
    head = "\n".join(f"{name:<{width}}  {value}" for name, value in about.items())
    return f"{head}\n\n{as_text(findings, everything=True, is_public=True)}"


def without_name(text: str, instance: str) -> str:
    """Returns a report without the name of the instance, which may be a person's."""
    return re.sub(
        rf"(?<=@){instance}\b|(?<=ibkr-){instance}\b|(?<=ibkr_tools-){instance}\b|(?<=--instance ){instance}\b",
        "…",
        text,
    )
