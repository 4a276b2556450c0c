"""jq programs: compiled before the first request, printed as jq prints. The only importer of jq."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jq
import msgspec

from ibkr_tools import files
from ibkr_tools.errors import UsageError
from ibkr_tools.number_format import single_line

_MAX_SHOWN_LENGTH = 80
"""The longest program, or line of one, that a message shows, in characters."""

_MAX_REASON_LENGTH = 300
"""How much is shown of why a program failed, in characters: its error may be all of the data."""

_COMPILE_ERROR = re.compile(
    r"jq: error: (?:syntax error, )?(?P<reason>.*?)"
    r"(?: at <top-level>, line (?P<line>\d+)(?:, column (?P<column>\d+))?)?:?\s*$"
)

_MANUAL = "https://jqlang.org/manual describes the language."

# Every output as JSON made by jq itself, which keeps the digits of numbers that the program only passes on. Defined
# before the program, so that nothing in it changes what that is; the lines between end a comment of the program, even
# one that goes on after a backslash.
# The binding does not pass on that a program ended by halt_error: it is an error as any other.
_AS_JSON = (
    "def __as_json: @json; def halt_error: error; def halt_error($code): error; ",
    "\n\n| __as_json",
)


class JqProgram:
    """One compiled jq program."""

    def __init__(self, program: str, args: Mapping[str, Any] | None = None, *, origin: str = "--jq") -> None:
        """Compiles the program.

        Args:
            program: the text.
            args: what `$name` stands for in it, by name; `$ARGS.named` has them all.
            origin: where the text is from, such as an option; named by every error.

        Raises:
            UsageError: jq does not understand it; the message is jq's own, with line and column.
        """
        self.origin = origin
        if "\0" in program:
            raise UsageError(f"{origin}: not a text: it has a NUL in it")
        named = dict(args or {})
        variables = {"ARGS": {"positional": [], "named": named}} | named
        try:
            self._compiled = jq.compile(_AS_JSON[0] + program + _AS_JSON[1], args=variables)
        except ValueError as error:
            message = str(error)
            # The errors of the program itself, without what was added.
            try:
                jq.compile(program, args=variables)
            except ValueError as original_error:
                message = str(original_error)
            raise UsageError(_compile_message(origin, program, message), hint=_MANUAL) from None

    def run(self, document: bytes) -> list[str]:
        """Returns the program's results for one JSON document, each as one line of compact JSON.

        Raises:
            UsageError: the program does not fit the data, such as an index into a number.
        """
        try:
            results: list[str] = self._compiled.input_text(document.decode()).all()
        except ValueError as error:
            # What jq itself says where its binding passes on how the program was left.
            reason = "No more inputs" if str(error) == "break" else single_line(str(error))
            raise UsageError(
                f"{self.origin}: {_shorten(reason, _MAX_REASON_LENGTH) or 'an error without a text'}"
            ) from None
        return results


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _compile_message(origin: str, program: str, text: str) -> str:
    first, *_ = text.strip().splitlines() or [""]
    match = _COMPILE_ERROR.match(first)
    reason, line, column = match.group("reason", "line", "column") if match else (first, None, None)
    where = ""
    if line is not None:
        where = f" at line {line}" + (f", column {column}" if column else "")
    if origin == "--jq" and len(program) <= _MAX_SHOWN_LENGTH:
        return f"{origin} {program!r}: {reason}{where}"
    lines = program.splitlines()
    source = lines[int(line) - 1].strip() if line is not None and int(line) <= len(lines) else ""
    return f"{origin}: {reason}{where}" + (f": {source[:_MAX_SHOWN_LENGTH]}" if source else "")


def read_program(path: Path) -> str:
    """Returns the jq program in a file.

    Raises:
        UsageError: it cannot be read, or is not text.
    """
    try:
        return files.read_user_file(path).decode()
    except OSError as error:
        raise UsageError(f"--from-file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--from-file {path}: not a text in UTF-8") from error


def parse_variables(texts: Sequence[tuple[str, str]], documents: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Returns what `--arg NAME VALUE` and `--argjson NAME JSON` give a program, by name.

    Raises:
        UsageError: a name that no variable of jq can have, or a value that is not JSON.
    """
    values: dict[str, Any] = {}
    for option, pairs in (("--arg", texts), ("--argjson", documents)):
        for name, text in pairs:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise UsageError(f"{option} {name!r}: not a name that jq could use as a variable")
            try:
                values[name] = msgspec.json.decode(text) if option == "--argjson" else text
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                raise UsageError(f"{option} {name}: {text[:_MAX_SHOWN_LENGTH]!r} is not JSON") from None
    return values


def format_jq_output(line: str, *, raw: bool, compact: bool) -> str:
    """Returns one result as jq would print it: indented by two, or as it is, or a text without its quotes."""
    if raw and line.startswith('"'):
        value: Any = msgspec.json.decode(line)
        return str(value)
    return line if compact else msgspec.json.format(line, indent=2)
