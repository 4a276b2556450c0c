"""The scripts that have a shell ask the program what can stand on a line; see `completion`."""

from pathlib import Path

from ibkr_tools.errors import UsageError

SCRIPTS = {"bash": "ibkr-tools.bash", "zsh": "_ibkr-tools", "fish": "ibkr-tools.fish"}
"""By shell: the file in `shells`."""


def read_script(shell: str) -> str:
    """Returns the script that has a shell complete.

    Raises:
        UsageError: there is none for this shell.
    """
    if shell not in SCRIPTS:
        raise UsageError(f"--show-completion {shell!r}: expected one of {', '.join(SCRIPTS)}")
    return (Path(__file__).parent / "shells" / SCRIPTS[shell]).read_text(encoding="utf-8")
