"""Watches the two files that others write for the watchdog, in a thread of its own."""

import threading
from collections.abc import Callable
from pathlib import Path

from inotify_simple import INotify, flags

from ibkr_tools import files

_CHANGES = flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE


def start(paths: dict[Path, int], changed: Callable[[Path], None]) -> None:
    """Calls `changed`, from another thread and for as long as the process lives, when one of the files is replaced.

    Args:
        paths: the files, and the mode that their directory gets if it is missing.
        changed: gets the file.

    Raises:
        OSError: the kernel has no watch left to give, or a directory cannot be made.
    """
    inotify = INotify()
    try:
        watched: dict[int, dict[str, Path]] = {}
        for path, mode in paths.items():
            files.make_directory(path.parent, mode=mode)
            watched.setdefault(inotify.add_watch(path.parent, _CHANGES), {})[path.name] = path
    except OSError:
        inotify.close()
        raise

    def run() -> None:
        with inotify:
            while True:
                for event in inotify.read():
                    if path := watched.get(event.wd, {}).get(event.name):
                        changed(path)

    threading.Thread(target=run, name="files", daemon=True).start()
