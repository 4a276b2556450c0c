"""Writes all man pages and completion scripts below a prefix: `python -m ibkr_tools.cli.pages [--vendor] PREFIX`.

For `bin/install` (`/usr/local`) and for who builds a package (`--vendor DESTDIR/usr`): zsh of a distribution looks for
the files of packages in a directory of their own. Prints the paths, relative to the prefix, a line each.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ibkr_tools import entrypoint
from ibkr_tools.cli.completion_scripts import SCRIPTS, read_script
from ibkr_tools.cli.man_pages import man_pages
from ibkr_tools.cli.streams import write_out
from ibkr_tools.errors import OutputError, UsageError

PLACES = {
    "bash": "share/bash-completion/completions/ibkr-tools",
    "zsh": "share/zsh/site-functions/_ibkr-tools",
    "fish": "share/fish/vendor_completions.d/ibkr-tools.fish",
}
"""By shell: where its script belongs, below a prefix."""

ZSH_OF_PACKAGES = "share/zsh/vendor-completions/_ibkr-tools"
"""Where Debian's zsh looks for what packages bring."""


def pages(*, vendor: bool = False) -> Iterator[tuple[str, str]]:
    """Yields every file: its path below the prefix, and its text."""
    for name, text in man_pages().items():
        yield f"share/man/man{name[-1]}/{name}", text
    for shell in SCRIPTS:
        place = ZSH_OF_PACKAGES if vendor and shell == "zsh" else PLACES[shell]
        yield place, read_script(shell)


def write_pages(prefix: Path, *, vendor: bool = False) -> list[str]:
    """Writes every file below `prefix`, and returns their paths below it.

    Raises:
        OutputError: one could not be written.
    """
    written = []
    for name, text in pages(vendor=vendor):
        path = prefix / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from error
        written.append(name)
    return written


def main(arguments: Sequence[str]) -> int:
    """Runs the program with its arguments.

    Raises:
        UsageError: they are not `[--vendor] PREFIX`.
    """
    prefixes = [argument for argument in arguments if argument != "--vendor"]
    if len(prefixes) != 1 or prefixes[0].startswith("-"):
        raise UsageError("expected [--vendor] PREFIX, such as /usr/local")
    write_out("".join(f"{name}\n" for name in write_pages(Path(prefixes[0]), vendor="--vendor" in arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(entrypoint.run(lambda: main(sys.argv[1:])))
