"""What members of the group may have the watchdog do: begin or end a pause, and ask for a snapshot."""

import math
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from loguru import logger

from ibkr_tools import files, pause_file, pause_request, shared_request
from ibkr_tools.directories import Directories
from ibkr_tools.shared_request import MIN_FETCH_INTERVAL_S, MIN_TAKE_INTERVAL_S


class MemberRequests:
    """Takes the requests that members leave where the group may write.

    What comes too early stays there until its time; whoever asks in between is served by the same one.
    """

    def __init__(self, directories: Directories, *, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        """Takes nothing yet: `now` is UTC, `clock` gives seconds that never jump."""
        self._pause_file = directories.pause_file
        self._snapshot_request = directories.snapshot_request
        self._now = now
        self._clock = clock
        self._takers: dict[Path, Callable[[Path], float]] = {
            directories.pause_request: self._take_pause,
            directories.fetch_request: self._take_fetch,
        }
        """Each returns for how many seconds nothing more is taken there."""
        self._not_before_s = dict.fromkeys(self._takers, -math.inf)

    @property
    def paths(self) -> frozenset[Path]:
        """The files that members leave."""
        return frozenset(self._takers)

    def take(self) -> None:
        """Takes what is there and does what it asks for, as far as it is its time."""
        now_s = self._clock()
        for path, take in self._takers.items():
            # os.path: a name alone, and nothing that it may lead to.
            if now_s < self._not_before_s[path] or not os.path.lexists(path):
                continue
            interval_s = MIN_TAKE_INTERVAL_S
            try:
                interval_s = take(path)
            except FileNotFoundError:
                # Whoever has left it has taken it back just now.
                continue
            except OSError as error:
                logger.warning("a member's request cannot be taken: {}", error.strerror)
            self._not_before_s[path] = now_s + interval_s

    def _take_pause(self, path: Path) -> float:
        """Begins or ends a pause: nothing logs in, or what may log in does. A member can have nothing else done."""
        request = pause_request.take(path)
        if request is None:
            _warn_of_junk(path)
        elif request.paused:
            pause_file.begin(self._pause_file, pause_file.Pause(since=self._now(), until=request.until))
            logger.info("a member of the group has asked for a pause")
        elif pause_file.end(self._pause_file):
            logger.info("a member of the group has ended the pause")
        return MIN_TAKE_INTERVAL_S

    def _take_fetch(self, path: Path) -> float:
        """Asks for ibkr-snapshot.service: a request is an empty file, so nothing of it gets any further."""
        if shared_request.take(path) != b"":
            _warn_of_junk(path)
            return MIN_TAKE_INTERVAL_S
        files.write_atomically(self._snapshot_request, b"", mode=0o600, fsync=False)
        logger.info("a member of the group has asked for a snapshot")
        return MIN_FETCH_INTERVAL_S


def _warn_of_junk(path: Path) -> None:
    # Who has left it cannot be said: PrivateUsers= shows every other user as nobody.
    logger.warning("{}: no request of ours; removed", path)
