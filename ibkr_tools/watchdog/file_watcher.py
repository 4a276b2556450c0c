"""Watches the files that other processes write for the watchdog, in a thread of its own (inotify)."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from inotify_simple import INotify, flags

from ibkr_tools import files

_CHANGES = flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE


def start(paths: Iterable[Path], on_change: Callable[[Path], None]) -> None:
    """Calls `on_change`, from another thread and for as long as the process lives, when one of the files is replaced.

    Args:
        paths: the files; a directory that is missing is made.
        on_change: gets the file.

    Raises:
        OSError: the kernel has no watch left to give, or a directory cannot be made.
    """
    inotify = INotify()
    try:
        watched: dict[int, dict[str, Path]] = {}
        for path in paths:
            files.make_directory(path.parent, mode=0o700)
            watched.setdefault(inotify.add_watch(path.parent, _CHANGES), {})[path.name] = path
    except OSError:
        inotify.close()
        raise

    def watch() -> None:
        with inotify:
            while True:
                for event in inotify.read():
                    if event.mask & flags.Q_OVERFLOW:
                        # More happened than the kernel remembers.
                        for watched_path in (path for names in watched.values() for path in names.values()):
                            on_change(watched_path)
                    if path := watched.get(event.wd, {}).get(event.name):
                        on_change(path)

    threading.Thread(target=watch, name="files", daemon=True).start()
