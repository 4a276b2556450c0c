"""What root starts by hand becomes the user of the units before it touches what belongs to that user.

Root that opens, creates or removes by path name in a directory of others does what those others want of it. So root
reads what only root may read (the password, a configuration), and goes on as the user who owns the directories.
"""

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from ibkr_tools.directories import Directories
from ibkr_tools.errors import ActionRequired
from ibkr_tools.installation import INSTALL_SERVICES
from ibkr_tools.instance import current_instance, user_of

SERVICE_USER = "ibkr"
"""The user of the units, made by systemd/sysusers.d."""


def service_user() -> str:
    """Returns the name of the user whose the units are of the instance that this process works for."""
    return user_of(SERVICE_USER, current_instance())


def _owner(path: Path) -> int:
    """Returns the user id of who owns `path`, or what is there of the way to it."""
    while True:
        try:
            return path.stat().st_uid
        except OSError:
            # Not there, or nothing that could be.
            path = path.parent


def user_to_switch_to(directories: Directories) -> pwd.struct_passwd | None:
    """Returns the user that root has to become before it uses `directories`; None: we are not root, or they are root's.

    Raises:
        ActionRequired: one of them belongs to a person.
    """
    if os.geteuid() != 0:
        return None
    target = None
    expected = service_user()
    for directory in (directories.runtime, directories.state):
        owner = _owner(directory.absolute())
        if owner == 0:
            continue
        try:
            user = pwd.getpwuid(owner)
        except KeyError:
            user = None
        if user is None or user.pw_name != expected:
            name = user.pw_name if user else f"the user id {owner}"
            raise ActionRequired(
                f"{directory}: belongs to {name}, and root does nothing in a directory of others",
                hint=f"Run it as {name}."
                if user
                else f"Run it as that user (docker run --user {owner}), or take another directory.",
            )
        target = user
    return target


def require_rights(path: Path, arguments: Sequence[str]) -> None:
    """Returns if this process may write `path`, or nobody else owns the way to it; nothing is written.

    Said before anything else happens, in one form, of whatever only root and the user of the units may change.

    Args:
        path: a directory, or a file in one; it need not be there.
        arguments: of `ibkr-tools`, as they were typed.

    Raises:
        ActionRequired: it belongs to another user; the hint is what to type.
    """
    if os.geteuid() == 0:
        return
    place, owner = path.absolute(), None
    while owner is None:
        try:
            owner = place.stat().st_uid
        except PermissionError:
            # In a directory that is closed to us, which is none of ours.
            place, owner = place.parent, 0
        except OSError:
            place = place.parent
    if owner != os.geteuid() and not os.access(place, os.W_OK):
        import shlex

        raise ActionRequired(f"{path}: only root may change it", hint=f"sudo {shlex.join(['ibkr-tools', *arguments])}")


def user_id(name: str) -> int | None:
    """Returns the number of a user; None without one of that name."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int:
    """Returns the number of a user's own group; that of this process without a user of that name."""
    try:
        return pwd.getpwnam(name).pw_gid
    except KeyError:
        return os.getegid()


class _Process:
    """What this process has become."""

    user: str | None = None


def write_advice() -> str | None:
    """Returns what to do where the user that root has become may not write; None: root has become nobody."""
    if _Process.user is None:
        return None
    return (
        f"As root it goes on as {_Process.user}: a file of root's is written by the shell (sudo ibkr-tools … > FILE)."
    )


def read_advice(path: Path) -> str | None:
    """Returns what to do where the user that root has become may not read `path`; None: root has become nobody."""
    if _Process.user is None:
        return None
    return (
        f"As root it goes on as {_Process.user}, who may not read that: {INSTALL_SERVICES} --gateway {path} copies it; "
        f"or put it where {_Process.user} can read it."
    )


def switch_user(user: pwd.struct_passwd) -> None:
    """Makes this process one of `user`, with their groups, for good.

    Raises:
        OSError: the kernel does not let us (we are not root).
    """
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    _Process.user = user.pw_name
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)


def drop_root(directories: Directories) -> bool:
    """Has root become who owns `directories`; says whether it did. Anybody else goes on as they are.

    Raises:
        ActionRequired: see `user_to_switch_to`.
    """
    user = user_to_switch_to(directories)
    if user is None:
        return False
    switch_user(user)
    return True
