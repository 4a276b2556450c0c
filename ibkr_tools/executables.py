"""Programs that a person has named in the configuration: why the kernel would not start one."""

import errno
import os
import shutil
import stat
from pathlib import Path

MAX_ARGUMENT_BYTES = 131_071
"""In bytes; the kernel's MAX_ARG_STRLEN has room for the NUL at the end."""

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_SHEBANG_BYTES = 256
"""How much of a script the kernel looks at, in bytes: BINPRM_BUF_SIZE."""


def start_problem(name: str) -> str | None:
    """Returns why `name`, a name on PATH or an absolute path, cannot be started; None if nothing speaks against it.

    What this user may not look at is not objected to: another user may.
    """
    if name.startswith("~"):
        return f"{name}: ~ means nothing in a program's path; write the path out"
    if "/" in name and not name.startswith("/"):
        return f"{name}: a relative path; write it from / on, or a name on PATH"
    if "/" in name:
        return _file_problem(Path(name))
    path = shutil.which(name)
    if path is None:
        return f"{name}: no program of that name on PATH"
    return _file_problem(Path(path))


def _file_problem(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return None
    except OSError as error:
        why = (
            error.strerror if error.errno != errno.ENOENT else "a link to nothing" if path.is_symlink() else "not there"
        )
        return f"{path}: {why}"
    if stat.S_ISDIR(mode):
        return f"{path}: a directory, not a program"
    if not stat.S_ISREG(mode):
        return f"{path}: not a file"
    if not mode & 0o111 or (os.access(path, os.R_OK) and not os.access(path, os.X_OK)):
        return f"{path}: not executable (chmod +x)" if not mode & 0o111 else f"{path}: not executable for this user"
    return _content_problem(path)


def _content_problem(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            begin = file.read(_SHEBANG_BYTES)
    except OSError:
        return None
    if not begin.startswith(b"#!"):
        is_known = begin.startswith(b"\x7fELF") or _has_other_formats()
        return None if is_known else f"{path}: neither a program nor a script that begins with #!"
    # The kernel knows blanks and tabs there, and no carriage return.
    interpreter = os.fsdecode(begin[2:].partition(b"\n")[0].strip(b" \t").replace(b"\t", b" ").partition(b" ")[0])
    if interpreter.startswith("/") and Path(interpreter).exists():
        return None
    return f"{path}: its first line names {interpreter!r}, which is not there{_line_ends_note(begin)}"


def _line_ends_note(begin: bytes) -> str:
    return " (its lines end as those of Windows do)" if b"\r\n" in begin else ""


def _has_other_formats() -> bool:
    """Says whether the kernel was told of formats besides its own."""
    try:
        return any(entry.name not in {"register", "status"} for entry in _BINFMT.iterdir())
    except OSError:
        return False


def command_problem(command: tuple[str, ...]) -> str | None:
    """Returns why a program with its arguments cannot be started; None if nothing speaks against it."""
    for number, argument in enumerate(command):
        if (size := len(os.fsencode(argument))) > MAX_ARGUMENT_BYTES:
            return f"argument {number} has {size} bytes; the kernel takes {MAX_ARGUMENT_BYTES} in one"
    return start_problem(command[0]) if command else None
