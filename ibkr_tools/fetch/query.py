"""jq programs: compiled before the first request, printed as jq prints. The only importer of jq."""

import json
from typing import Any

import jq
import msgspec

from ibkr_tools.errors import UsageError


class Query:
    """One compiled jq program."""

    def __init__(self, program: str) -> None:
        """Compiles it.

        Raises:
            UsageError: jq does not understand it; the message is jq's own.
        """
        try:
            self._compiled = jq.compile(program)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "jq does not understand it"
            raise UsageError(
                f"--jq {program!r}: {reason}", hint="https://jqlang.org/manual describes the language."
            ) from None

    def run(self, document: bytes) -> list[str]:
        """Returns the program's results for one JSON document, each as one line of compact JSON.

        Raises:
            UsageError: the program does not fit the data, such as an index into a number.
        """
        try:
            results = self._compiled.input_text(document.decode()).all()
        except ValueError as error:
            raise UsageError(f"--jq: {str(error).strip()}") from None
        # The binding's own text() writes every letter beyond ASCII as an escape; jq does not.
        return [json.dumps(result, ensure_ascii=False, separators=(",", ":")) for result in results]


def as_jq_prints(line: str, *, raw: bool, compact: bool) -> str:
    """Returns one result as jq would print it: indented by two, or as it is, or a text without its quotes."""
    if raw and line.startswith('"'):
        value: Any = msgspec.json.decode(line)
        return str(value)
    return msgspec.json.format(line, indent=-1 if compact else 2)
