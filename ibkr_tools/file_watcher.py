"""Tells which files other processes have created, replaced or removed (inotify)."""

import math
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from inotify_simple import INotify, flags

from ibkr_tools import files

_CHANGES = flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
"""A file is replaced by renaming a new one onto it; a write into a file is not noticed."""


class FileWatcher:
    """Watches files, which need not exist, and directories for new files, from its construction until `close`.

    A selector can wait for `fileno`, which is readable when something has changed.
    """

    def __init__(self, paths: Iterable[Path] = (), *, directories: Iterable[Path] = ()) -> None:
        """Begins to watch.

        Args:
            paths: files; a directory of theirs that is missing is made.
            directories: directories, which exist, in each of which a file that comes or is replaced is a change.

        Raises:
            OSError: the kernel has no watch left to give, a directory is missing, or one cannot be made.
        """
        self._watched: dict[int, dict[str, Path]] = {}
        self._directories: dict[int, Path] = {}
        self._inotify = INotify()
        try:
            for path in paths:
                files.make_directory(path.parent, mode=0o700)
                self._watched.setdefault(self._inotify.add_watch(path.parent, _CHANGES), {})[path.name] = path
            for directory in directories:
                self._directories[self._inotify.add_watch(directory, flags.CREATE | flags.MOVED_TO)] = directory
        except OSError:
            self._inotify.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """Returns the file descriptor that a selector waits for."""
        return int(self._inotify.fileno())

    def wait(self, timeout_s: float | None = None) -> set[Path]:
        """Returns the files that have changed, none if no file does within `timeout_s` seconds (None: waits for one).

        For a new file of a directory that is watched, it returns the directory. Another file beside one that is
        watched may end the wait early; `timeout_s` 0 does not wait.
        """
        timeout_ms = None if timeout_s is None else math.ceil(timeout_s * 1000)
        changed: set[Path] = set()
        for event in self._inotify.read(timeout=timeout_ms):
            if event.mask & flags.Q_OVERFLOW:
                # More happened than the kernel remembers.
                files_watched = {path for paths in self._watched.values() for path in paths.values()}
                return files_watched | set(self._directories.values())
            if directory := self._directories.get(event.wd):
                changed.add(directory)
            if path := self._watched.get(event.wd, {}).get(event.name):
                changed.add(path)
        return changed

    def close(self) -> None:
        """Ends the watch."""
        self._inotify.close()
