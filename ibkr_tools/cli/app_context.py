"""What every command has: where things are, and how its collaborators are built."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from ibkr_tools.directories import (
    SYSTEM_CONFIGURATION,
    SYSTEM_RUNTIME,
    Directories,
    find_directories,
    require_matching_directories,
)
from ibkr_tools.errors import ConfigError, OutputError, UsageError
from ibkr_tools.installation import LAYOUT
from ibkr_tools.instance import (
    INSTANCE_VARIABLE,
    PLAIN,
    current_instance,
    directory_of,
    installed_instances,
    require_name,
)
from ibkr_tools.status import StatusFile

if TYPE_CHECKING:
    import typer

    from ibkr_tools.config.schema import AlertsConfig, Config
    from ibkr_tools.config.secrets import Secret
    from ibkr_tools.fetch.client_factory import ClientFactory


class AppContext(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The global options, resolved."""

    unchecked_directories: Directories
    config: Path | None
    runtime_dir: Path | None
    state_dir: Path | None
    instance: str | None
    is_instance_chosen: bool
    verbose: bool

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.config or self.unchecked_directories.config_file

    @property
    def directories(self) -> Directories:
        """Where the instance lives whose configuration it is.

        Raises:
            UsageError: --config names another instance, and its directories were not named.
        """
        require_matching_directories(
            self.unchecked_directories, self.config, runtime=self.runtime_dir, state=self.state_dir
        )
        return self.unchecked_directories

    @property
    def is_named(self) -> bool:
        """Says whether a person named a configuration or a directory."""
        return any(path is not None for path in (self.config, self.runtime_dir, self.state_dir))

    def load(self) -> "Config":
        """Reads the configuration; see `config.load_config`."""
        return self._config

    def load_alerts(self) -> "AlertsConfig":
        """Returns how a person is told, also of a configuration that is wrong elsewhere.

        Raises:
            ConfigError: it is wrong, and how a person is told cannot be read by itself either.
        """
        from ibkr_tools.config.loader import read_alerts_alone

        try:
            return self.load().alerts
        except ConfigError:
            if (alerts := read_alerts_alone(self.config_file)) is None:
                raise
            return alerts

    @property
    def is_configured(self) -> bool:
        """Says whether there is a configuration. Root may have read one that it could not see any more."""
        return "_config" in vars(self) or os.access(self.config_file, os.F_OK)

    @cached_property
    def _config(self) -> "Config":
        from ibkr_tools.config.loader import load_config

        return load_config(self.config_file)

    def database_password(self) -> "Secret | None":
        """Returns the password of the history's database; see `secrets.read_database_password`.

        Raises:
            ConfigError: others can read it, it is not what a person typed, or the configuration is wrong.
        """
        if isinstance(self._database_password, ConfigError):
            raise self._database_password
        return self._database_password

    @cached_property
    def _database_password(self) -> "Secret | ConfigError | None":
        from ibkr_tools.config.secrets import read_database_password

        try:
            return read_database_password(self.config_file, self.load())
        except ConfigError as error:
            return error

    def drop_root(self, *, needs_configuration: bool = True) -> None:
        """Has root become the user of the units, if the directories are theirs; see `privileges.drop_root`.

        Root reads the configuration first, and the password of a database that is in it, unless the command does
        without them. If they are wrong, the command that needs them says so.

        Raises:
            ActionRequired: the directories are a person's.
            UsageError: see `directories`.
        """
        from ibkr_tools import privileges

        user = privileges.user_to_switch_to(self.directories)
        if user is None:
            return
        if needs_configuration:
            with suppress(ConfigError):
                if self.load().history.database is not None:
                    self.database_password()
        privileges.switch_user(user)

    def require_rights(self, path: Path) -> None:
        """Returns if this process may change `path`; see `privileges.require_rights`.

        Raises:
            ActionRequired: only root may.
        """
        from ibkr_tools.privileges import require_rights

        require_rights(path, sys.argv[1:])

    @property
    def status_file(self) -> StatusFile:
        """The status file."""
        return StatusFile(self.directories.status_file)

    def clients(self, config: "Config") -> "ClientFactory":
        """Returns what makes clients of the gateway, which draw on the shared request budget."""
        from ibkr_tools.fetch.client_factory import ClientFactory

        return ClientFactory(config, self.directories)

    def options(self) -> list[str]:
        """Returns the global options that name the same directories to another program of ours."""
        return [
            *("--config", os.fspath(self.config_file.absolute())),
            *("--runtime-dir", os.fspath(self.directories.runtime.absolute())),
            *("--state-dir", os.fspath(self.directories.state.absolute())),
        ]

    def exec_module(self, module: str) -> NoReturn:
        """Replaces this process by one of our thin programs: same PID, same notify socket, less memory."""
        more = ["--verbose"] if self.verbose and module == "ibkr_tools.watchdog" else []
        sys.stdout.flush()
        try:
            os.execv(sys.executable, [sys.executable, "-I", "-m", module, *self.options(), *more])  # noqa: S606
        except OSError as error:
            raise OutputError(f"{sys.executable}: {error.strerror}") from error


class SeveralInstances(msgspec.Struct, frozen=True):
    """The global options of a command that shows several instances: their names, in the order they were typed."""

    names: tuple[str, ...]


def require_instance(name: str) -> None:
    """Returns if there is an instance of that name on this machine, or it is `PLAIN`.

    Raises:
        UsageError: there is none.
    """
    if name != PLAIN and not directory_of(SYSTEM_CONFIGURATION, require_name(name)).is_dir():
        there = ", ".join(installed_instances(SYSTEM_RUNTIME)) or "none"
        raise UsageError(
            f"there is no instance {name} on this machine (there: {there})",
            hint=f"{LAYOUT.install} --instance {name} makes it.",
        )


def find_several(
    names: Sequence[str], command: str, *, is_over_several: bool, is_named: bool = False
) -> SeveralInstances | None:
    """Returns the instances that a command is about; None: one, or the one that is chosen by itself.

    Args:
        names: what `--instance` says, each time.
        command: what is to be done.
        is_over_several: whether that can be about several.
        is_named: whether a configuration or a directory is named too.

    Raises:
        UsageError: it cannot, there is no such instance, or directories of one are named.
    """
    distinct = tuple(dict.fromkeys(names))
    if len(distinct) < 2:  # noqa: PLR2004  # several
        return None
    if not is_over_several:
        raise UsageError(f"{command} is about one instance, not about {' and '.join(distinct)}")
    if is_named:
        raise UsageError("--config, --runtime-dir and --state-dir are those of one instance: not with several")
    for name in distinct:
        require_instance(name)
    return SeveralInstances(distinct)


def _use_instance(name: str) -> None:
    """Has this process and its children work for an instance of this machine; `PLAIN` is the one without a name.

    What systemd or somebody else says in the environment about the directories is about another one.

    Raises:
        UsageError: there is none of that name.
    """
    require_instance(name)
    if name == PLAIN:
        os.environ.pop(INSTANCE_VARIABLE, None)
    else:
        os.environ[INSTANCE_VARIABLE] = name
    for variable in ("CONFIGURATION_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        os.environ.pop(variable, None)


def create_app_context(
    config: Path | None = None,
    runtime_dir: Path | None = None,
    state_dir: Path | None = None,
    *,
    instance: str | None = None,
    verbose: bool = False,
) -> AppContext:
    """Returns the context that the global options mean; None: where things are by themselves.

    Raises:
        UsageError: there is no such instance.
    """
    if instance is not None and instance != current_instance():
        _use_instance(instance)
    return AppContext(
        unchecked_directories=find_directories(runtime=runtime_dir, state=state_dir),
        config=config,
        runtime_dir=runtime_dir,
        state_dir=state_dir,
        instance=current_instance(),
        is_instance_chosen=instance is not None or current_instance() is not None,
        verbose=verbose,
    )


def app_context_of(context: "typer.Context") -> AppContext:
    """Returns the global options of a command's context."""
    app_context = context.find_object(AppContext)
    if (several := context.find_object(SeveralInstances)) is not None:
        raise UsageError(f"{context.info_name} is about one instance, not about {' and '.join(several.names)}")
    if app_context is None:
        raise AssertionError("the root callback has not run")
    return app_context


def log_to_stderr(app_context: AppContext) -> None:
    """Sets logging up for a command that logs."""
    from ibkr_tools import log

    log.setup(verbose=app_context.verbose)
