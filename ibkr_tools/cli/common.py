"""What every command has: where things are, and how its collaborators are built."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from ibkr_tools.directories import Directories, find_directories, require_own_directories
from ibkr_tools.errors import ConfigError, OutputError
from ibkr_tools.guard import give_up_stdout
from ibkr_tools.status import StatusFile
from ibkr_tools.text import for_terminal

if TYPE_CHECKING:
    import typer

    from ibkr_tools.config import Config
    from ibkr_tools.fetch.clients import Clients


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The global options, resolved."""

    all_directories: Directories
    config: Path | None
    runtime_dir: Path | None
    state_dir: Path | None
    verbose: bool

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.config or self.all_directories.config_file

    @property
    def directories(self) -> Directories:
        """Where the instance lives whose configuration it is.

        Raises:
            UsageError: --config names another instance, and its directories were not named.
        """
        require_own_directories(self.all_directories, self.config, runtime=self.runtime_dir, state=self.state_dir)
        return self.all_directories

    def load(self) -> "Config":
        """Reads the configuration; see `config.load_config`."""
        return self._config

    @cached_property
    def _config(self) -> "Config":
        from ibkr_tools.config import load_config

        return load_config(self.config_file)

    def drop_root(self) -> None:
        """Has root become the user of the units, if the directories are theirs; see `privileges.drop`.

        Root reads the configuration first. If it is wrong, the command that needs it says so.

        Raises:
            ActionRequired: the directories are a person's.
            UsageError: see `directories`.
        """
        from ibkr_tools import privileges

        if os.geteuid() != 0:
            return
        with suppress(ConfigError):
            self.load()
        privileges.drop(self.directories)

    @property
    def status_file(self) -> StatusFile:
        """The status file."""
        return StatusFile(self.directories.status_file)

    def clients(self, config: "Config") -> "Clients":
        """Returns what makes clients of the gateway, which draw on the shared request budget."""
        from ibkr_tools.fetch.clients import Clients

        return Clients(config, self.directories)

    def options(self) -> list[str]:
        """Returns the global options that name the same directories to another program of ours."""
        return [
            *("--config", os.fspath(self.config_file.absolute())),
            *("--runtime-dir", os.fspath(self.directories.runtime.absolute())),
            *("--state-dir", os.fspath(self.directories.state.absolute())),
        ]

    def become(self, module: str) -> NoReturn:
        """Replaces this process by one of our thin programs: same PID, same notify socket, less memory."""
        more = ["--verbose"] if self.verbose and module == "ibkr_tools.watchdog" else []
        sys.stdout.flush()
        try:
            os.execv(sys.executable, [sys.executable, "-I", "-m", module, *self.options(), *more])  # noqa: S606
        except OSError as error:
            raise OutputError(f"{sys.executable}: {error.strerror}") from error


def setting_from(
    config: Path | None = None, runtime_dir: Path | None = None, state_dir: Path | None = None, *, verbose: bool = False
) -> Setting:
    """Returns the setting that the global options mean; None: where things are by themselves."""
    return Setting(
        all_directories=find_directories(runtime=runtime_dir, state=state_dir),
        config=config,
        runtime_dir=runtime_dir,
        state_dir=state_dir,
        verbose=verbose,
    )


def setting_of(context: "typer.Context") -> Setting:
    """Returns the global options of a command's context."""
    setting = context.find_object(Setting)
    if setting is None:
        raise AssertionError("the root callback has not run")
    return setting


def standard_output() -> TextIO:
    """Returns it.

    Raises:
        OutputError: whoever started us has closed it (`>&-`).
    """
    stream: TextIO | None = sys.stdout
    if stream is None:
        raise OutputError("standard output: closed")
    return stream


def write_out(text: str) -> None:
    """Writes all of `text` to standard output, now; see `write_pieces`."""
    stream = standard_output()
    try:
        data = text.encode(stream.encoding, stream.errors or "strict")
    except UnicodeEncodeError:
        # A name that is no text, or a locale with few letters.
        data = text.encode(stream.encoding, "backslashreplace")
    write_pieces([data])


def write_pieces(pieces: Iterable[bytes]) -> None:
    """Writes all of it to standard output, now; a reader that has left early (`| head`) is content with it.

    A terminal is not told what IBKR's texts would have it do; a file or a pipe gets every byte.

    Raises:
        OutputError: it cannot be written, such as into a file on a full disk.
    """
    stream = standard_output()
    try:
        stream.flush()
        for piece in for_terminal(pieces) if stream.isatty() else pieces:
            stream.buffer.write(piece)
        stream.buffer.flush()
    except BrokenPipeError:
        give_up_stdout()
    except OSError as error:
        give_up_stdout()
        raise OutputError(f"standard output: {error.strerror}") from error


def log_to_stderr(setting: Setting) -> None:
    """Sets logging up for a command that tells its story."""
    from ibkr_tools import log

    log.setup(verbose=setting.verbose)
