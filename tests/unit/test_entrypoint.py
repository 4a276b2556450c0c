"""The frame around every program: one line, one hint, one exit code."""

import pytest

from ibkr_tools import entrypoint, errors
from ibkr_tools.errors import IbkrError


def kinds() -> list[type[IbkrError]]:
    """Lists every class of the tree."""
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IbkrError)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_is_one_line_one_hint_and_its_code(
    kind: type[IbkrError], capsys: pytest.CaptureFixture[str]
) -> None:
    def program() -> int:
        raise kind("what happened", hint="what to do")

    assert entrypoint.run(program) == kind.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.endswith("error: what happened")
    assert second.endswith("hint: what to do")
    assert "Traceback" not in err


def test_verbose_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> int:
        raise errors.DataError("x")

    assert entrypoint.run(program, verbose=True) == 65
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_has_its_traceback_once_and_70(capsys: pytest.CaptureFixture[str]) -> None:
    def program() -> int:
        return 1 // 0

    assert entrypoint.run(program) == entrypoint.EX_SOFTWARE
    err = capsys.readouterr().err
    assert err.count("ZeroDivisionError") == 1
    assert "bug" in err


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_program_that_ends_well(value: int | None, code: int) -> None:
    assert entrypoint.run(lambda: value) == code


def test_ctrl_c_is_130() -> None:
    def program() -> int:
        raise KeyboardInterrupt

    assert entrypoint.run(program) == 130
