"""Commands that a person or a script runs often: whole processes, from start to end, against a running session."""

import sys
from dataclasses import dataclass

from bench.processes import environment, timed
from bench.stage import Stage

LIBRARIES = "typer, msgspec"
"""Of others, what every command loads."""


@dataclass(frozen=True)
class Quick:
    """Milliseconds of commands that send nothing, and of a Python that loads their libraries, or nothing."""

    status: tuple[float, ...]
    show: tuple[float, ...]
    libraries: tuple[float, ...]
    python: tuple[float, ...]


def quick(stage: Stage, rounds: int) -> Quick:
    """Runs the commands that only read files, by turns; a whole snapshot is saved first, for `show`."""
    timed(stage.command("fetch", "--save"), environment())
    tasks = (
        stage.command("status"),
        stage.command("show", "positions"),
        *([sys.executable, "-I", "-c", program] for program in (f"import {LIBRARIES}", "pass")),
    )
    turns = [[1000 * timed(command, environment()) for command in tasks] for _ in range(rounds + 1)]
    # The first turn compiled modules.
    return Quick(*zip(*turns[1:], strict=True))
