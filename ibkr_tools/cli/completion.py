"""What a shell is told when a person presses Tab; `completion_scripts` has the scripts that ask.

A script starts the program with `_IBKR_TOOLS_COMPLETE` in its environment and the words so far as its arguments, and
reads a line for each word that can stand there: the word, a tab, what it means. `:file` and `:directory` stand for
names of files and directories, which the shell knows itself. Nothing is said of what goes wrong.
"""

import os
from collections.abc import Sequence
from typing import Any

VARIABLE = "_IBKR_TOOLS_COMPLETE"
"""`line`: the one argument is the whole line up to the cursor; `words`: each argument is a word, the last one's too."""


def complete(mode: str, arguments: Sequence[str]) -> str:
    """Returns the lines for a shell; none where `mode` is not of this version."""
    if mode == "line":
        words = _split_line(arguments[0] if arguments else "")
    elif mode == "words":
        words = list(arguments)
    else:
        return ""
    return "".join(f"{_one_line(word)}\t{_one_line(meaning)}\n" for word, meaning in _candidates(words))


def _one_line(text: str) -> str:
    """Returns a text that is one line, and nothing to a terminal but letters."""
    from ibkr_tools.terminal_escape import replace_unprintable

    return replace_unprintable(" ".join(text.split()))


def _split_line(line: str) -> list[str]:
    """Returns the words after the program's name; the last one is the one that is being typed."""
    import shlex

    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        words += lexer
    except ValueError:
        # A quote that is still open: what is in it is the last word.
        words.append(lexer.token)
    else:
        if not line or line[-1:].isspace():
            words.append("")
    return words[1:]


def _candidates(words: Sequence[str]) -> list[tuple[str, str]]:
    """Returns what can stand in the place of the last word, with its meaning."""
    import typer.main
    from typer._completion_classes import FishComplete

    from ibkr_tools.cli.app import app
    from ibkr_tools.cli.completers import DIRECTORY, FILE

    command: Any = typer.main.get_command(app)
    *before, current = words or [""]
    completion = FishComplete(command, {"obj": tuple(before)}, "ibkr-tools", VARIABLE)
    # An option and its value in one word: shells replace the whole word.
    option, equals, value = current.partition("=")
    is_joined = bool(equals) and option.startswith("--")
    if is_joined:
        before, current = [*before, option], value
    found = []
    for item in completion.get_completions(before, current):
        if item.help in {FILE, DIRECTORY}:
            found.append((item.help, ""))
        else:
            found.append((f"{option}={item.value}" if is_joined else str(item.value), item.help or ""))
    return found


def run(arguments: Sequence[str]) -> int:
    """Prints the lines for a shell; returns 0 whatever happens to them."""
    from ibkr_tools.cli.streams import write_out

    write_out(complete(os.environ.get(VARIABLE, ""), arguments))
    return 0
