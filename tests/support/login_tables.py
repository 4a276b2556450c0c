"""The tables of docs/login.md, derived from the tables in the code that they describe.

`python -P -m tests.support.login_tables` writes them into the page.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.login.page_state_policy import PatienceName, SessionBehind
from ibkr_tools.login.page_states import PageState
from ibkr_tools.page_elements import PageElement
from tests.support.checkout import CHECKOUT

__all__ = ["PAGE", "TABLES", "shown_table"]

PAGE = CHECKOUT / "docs/login.md"
NOTHING = "\N{EN DASH}"


def _markdown(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def outcomes_table() -> str:
    """Returns how a login can end, with exit code, state, and what the budget counts."""
    rows = []
    for outcome in Outcome:
        policy = outcome.policy
        code = str(policy.error.exit_code) if policy.error else "0"
        rows.append((f"`{outcome}`", policy.meaning, code, f"`{policy.state}`", _counts(outcome)))
    return _markdown(("outcome", "means", "exit code", "state", "counts"), rows)


def _counts(outcome: Outcome) -> str:
    match outcome.policy.result:
        case _ if outcome.policy.phase == "before":
            return NOTHING
        case AttemptResult.SUCCEEDED:
            return "login"
        case AttemptResult.REFUSED:
            return "refusal"
        case AttemptResult.STOP:
            return "locks"
        case _:
            return "failure" if outcome.policy.phase == "after" else "failure, if submitted"


def states_table() -> str:
    """Returns what the page may show, in the order in which it counts, and what happens then."""
    header = ("it shows", "what happens", "after the password: for how long", "is the API asked?", "outcome")
    rows = [
        (
            str(state),
            state.policy.reaction.value,
            _lasts(state.policy.patience),
            _asks(state.policy.session),
            f"`{state.policy.outcome}`",
        )
        for state in PageState
    ]
    return _markdown(header, rows)


def _lasts(name: PatienceName) -> str:
    if name == "total":
        return "as long as it takes"
    span = Patience().span(name)
    return NOTHING if span is None else f"{span.total_seconds():.0f} s"


def _asks(session: SessionBehind) -> str:
    match session:
        case SessionBehind.REPORTED | SessionBehind.LIKELY:
            return f"{session.value}: for {Patience().session.total_seconds():.0f} s"
        case SessionBehind.POSSIBLE:
            return f"{session.value}, for {Patience().settle.total_seconds():.0f} s"
        case SessionBehind.UNLIKELY | SessionBehind.NO:
            return str(session.value)
        case _:
            assert_never(session)


def elements_table() -> str:
    """Returns the names of `login.selectors`."""
    return _markdown(("name", "what it is"), [(f"`{element}`", element.meaning) for element in PageElement])


TABLES: Mapping[str, Callable[[], str]] = {
    "outcomes": outcomes_table,
    "page-states": states_table,
    "page-elements": elements_table,
}
"""By the name of the marks around each table in the page."""


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {name} -->\n\n).*?(?=\n<!-- /{name} -->)", re.DOTALL)


def shown_table(name: str) -> str:
    """Returns a table as the page has it."""
    (table,) = _pattern(name).findall(PAGE.read_text())
    return str(table)


def main() -> None:
    """Writes the tables into the page."""
    page = PAGE.read_text()
    for name, table in TABLES.items():
        page = _pattern(name).sub(table().replace("\\", r"\\"), page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
