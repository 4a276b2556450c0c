"""Executes the state machine's commands that stay on this machine: request files, and the push's connection."""

from pathlib import Path
from typing import assert_never

from loguru import logger

from ibkr_tools import files, login_request
from ibkr_tools.directories import Directories
from ibkr_tools.watchdog.events import LocalCommand
from ibkr_tools.watchdog.push_connection import PushConnection


class LocalCommandExecutor:
    """Executes commands; a file that cannot be written is an error in the log, and no more."""

    def __init__(self, directories: Directories, push: PushConnection) -> None:
        self._directories = directories
        self._push = push

    def execute(self, command: LocalCommand) -> None:
        """Executes one command."""
        match command:
            case LocalCommand.REQUEST_LOGIN:
                self._write_request(self._directories.login_request)
            case LocalCommand.REQUEST_FRESH_LOGIN:
                self._write_request(self._directories.login_request, login_request.FRESH)
            case LocalCommand.RESTART_GATEWAY:
                self._write_request(self._directories.restart_request)
            case LocalCommand.LISTEN:
                self._push.open()
            case LocalCommand.STOP_LISTENING:
                self._push.close()
            case _:
                assert_never(command)

    def _write_request(self, request: Path, content: bytes = b"") -> None:
        """Writes a request file, which systemd or the gateway's parent watches."""
        try:
            files.write_atomically(request, content, mode=0o600, fsync=False)
        except OSError as error:
            logger.error("{} cannot be written: {}", request, error.strerror)
