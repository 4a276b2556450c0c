"""The syntax trees of our files, each parsed once for all tests of a process."""

import ast
import gc
from functools import cache
from pathlib import Path

__all__ = ["nodes_of", "tree_of"]


@cache
def tree_of(file: Path) -> ast.Module:
    """Parses a file."""
    was_enabled = gc.isenabled()
    # Every few hundred nodes Python would look through all that the tests have made so far, and find nothing.
    gc.disable()
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    finally:
        if was_enabled:
            gc.enable()


@cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    """Returns every node of a file's syntax tree."""
    return tuple(ast.walk(tree_of(file)))
