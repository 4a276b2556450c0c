"""The exception tree: its picture, its exit codes, its one-line promises."""

import re

import pytest

from ibkr_tools import errors
from ibkr_tools.errors import IbkrError

CODES = {2, 65, 69, 70, 73, 75, 77, 78}
"""The table of exit codes: Typer's 2 and those of sysexits.h that we use."""


def tree() -> list[type[IbkrError]]:
    """Lists the base and everything under it that the module defines."""
    found, queue = [], [IbkrError]
    while queue:
        one = queue.pop(0)
        found.append(one)
        queue += [kind for kind in one.__subclasses__() if kind.__module__ == errors.__name__]
    return found


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_class_has_a_code_of_the_table_and_a_promise(kind: type[IbkrError]) -> None:
    assert kind.exit_code in CODES
    assert (kind.__doc__ or "").strip().splitlines()[0].endswith(".")


def test_the_picture_is_the_tree() -> None:
    """Names, codes and parents in the module's docstring are those of the classes."""
    drawn: dict[str, tuple[str | None, int]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)([A-Z]\w+) +(\d+)  ", line)
        if match:
            depth = len(match.group(1)) // 4
            above = [*above[:depth], match.group(2)]
            drawn[match.group(2)] = (above[-2] if depth else None, int(match.group(3)))
    real = {
        kind.__name__: (kind.__base__.__name__ if kind is not IbkrError and kind.__base__ else None, kind.exit_code)
        for kind in tree()
    }
    assert drawn == real


def test_all_exceptions_of_the_module_are_in_the_tree() -> None:
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(tree())


def test_message_and_hint_are_kept_apart() -> None:
    error = errors.ConfigError("what is wrong", hint="what to do")
    assert (str(error), error.message, error.hint) == ("what is wrong", "what is wrong", "what to do")
    assert errors.DataError("alone").hint is None


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("UsageError", 2),
        ("DataError", 65),
        ("GatewayUnavailable", 69),
        ("OutputError", 73),
        ("SessionUnavailable", 75),
        ("LoginRefused", 77),
        ("LockedOut", 77),
        ("ConfigError", 78),
    ],
)
def test_published_codes_stay(kind: str, code: int) -> None:
    """Units, scripts and the documentation name these numbers."""
    assert getattr(errors, kind).exit_code == code
