"""Where things are: the directories systemd gives a unit, or their equivalents for a person at a terminal."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ibkr_tools.errors import UsageError
from ibkr_tools.instance import current_instance, directory_of

SYSTEM_CONFIGURATION = Path("/etc/ibkr-tools")
SYSTEM_RUNTIME = Path("/run/ibkr-tools")
SYSTEM_STATE = Path("/var/lib/ibkr-tools")


class Directories(msgspec.Struct, frozen=True, kw_only=True):
    """The three directories one IBKR user lives in; a second user on the machine is three others.

    See `ibkr_tools.instance`.
    """

    configuration: Path
    runtime: Path
    state: Path

    @property
    def config_file(self) -> Path:
        """The configuration, written by the user."""
        return self.configuration / "config.json"

    @property
    def status_file(self) -> Path:
        """The status file; see `ibkr_tools.status`."""
        return self.runtime / "status.json"

    @property
    def login_request(self) -> Path:
        """Exists while somebody asks for a login; made by the watchdog, removed by the login."""
        return self.runtime / "login.request"

    @property
    def shared(self) -> Path:
        """What members of the group may write: the request budget, the read semaphore, hints. It is not trusted.

        It is not in the runtime directory: whoever can write there can fill the memory that all units need.
        """
        return self.state / "shared"

    @property
    def session_hint(self) -> Path:
        """Replaced by a fetch without rights in `runtime` that met no session; see `ibkr_tools.watchdog.inputs`."""
        return self.shared / "session-lost"

    @property
    def pause_request(self) -> Path:
        """Left by a member of the group who wants a pause, or its end; see `ibkr_tools.pause_request`."""
        return self.shared / "pause-request"

    @property
    def fetch_request(self) -> Path:
        """Left by a member of the group who wants a snapshot saved; see `ibkr_tools.shared_request`."""
        return self.shared / "fetch-request"

    @property
    def snapshot_request(self) -> Path:
        """Exists while somebody has asked for a snapshot; made by the watchdog, removed by the fetch that begins."""
        return self.runtime / "snapshot.request"

    @property
    def fetch_answer(self) -> Path:
        """How the last fetch has ended that was asked for; see `ibkr_tools.fetch_answer`."""
        return self.runtime / "fetch-answer.json"

    @property
    def cache(self) -> Path:
        """Answers of IBKR that may not be asked for again yet; see `ibkr_tools.portal.response_cache`."""
        return self.runtime / "cache"

    @property
    def outbox(self) -> Path:
        """Messages for a person that nobody has delivered yet; see `ibkr_tools.alert_outbox`."""
        return self.runtime / "outbox"

    @property
    def pause_file(self) -> Path:
        """Exists while a person wants that nothing logs in; see `ibkr_tools.pause_file`."""
        return self.state / "pause.json"

    @property
    def alert_history_file(self) -> Path:
        """The alerts that a person has got; see `ibkr_tools.alerts.alert_history`."""
        return self.state / "alert_history.json"

    @property
    def restart_request(self) -> Path:
        """Exists while somebody asks the gateway's parent to end Java and exit."""
        return self.runtime / "gateway.restart"

    @property
    def gateway_environment(self) -> Path:
        """The port that the gateway was started with, for ibkr-relay.service: one line, GATEWAY_PORT=5000."""
        return self.runtime / "gateway.env"

    @property
    def pacing_file(self) -> Path:
        """The request budget of the units."""
        return self.runtime / "pacing.json"

    @property
    def shared_pacing_file(self) -> Path:
        """The request budget of those who may not write that of the units."""
        return self.shared / "pacing.json"

    @property
    def penalty_file(self) -> Path:
        """Until when IBKR has shut this address out, for after a boot; see `ibkr_tools.portal.rate_limiter`."""
        return self.state / "penalty.json"

    @property
    def gateway(self) -> Path:
        """IBKR's distribution, its rendered configuration and the TLS material."""
        return self.state / "gateway"

    @property
    def certificate(self) -> Path:
        """The gateway's certificate (PEM): the only one that clients trust."""
        return self.gateway / "tls" / "gateway.pem"

    @property
    def private(self) -> Path:
        """The gateway's private key and its password, which only Java needs; see `ibkr_tools.gateway.tls`."""
        return self.gateway / "private"

    @property
    def accepted_builds(self) -> Path:
        """The builds of IBKR's gateway that a person has accepted."""
        return self.gateway / "accepted.json"

    @property
    def class_archive(self) -> Path:
        """The class archive of Java; see `ibkr_tools.gateway.class_archive`."""
        return self.gateway / "class-archive"

    @property
    def login(self) -> Path:
        """The login log and the diagnostics of failed logins."""
        return self.state / "login"

    @property
    def page_reports(self) -> Path:
        """The reports of login pages that IBKR has changed."""
        return self.login / "page_reports"

    @property
    def browser(self) -> Path:
        """Chromium's kept profile."""
        return self.state / "browser"

    @property
    def snapshots(self) -> Path:
        """What `fetch --save` writes."""
        return self.state / "snapshots"

    @property
    def statements(self) -> Path:
        """Flex statements as IBKR made them; see `ibkr_tools.flex.statement_archive`."""
        return self.state / "statements"

    @property
    def flex_budget(self) -> Path:
        """What all processes know of the token; see `ibkr_tools.flex.flex_budget`. It is hidden with the statements."""
        return self.statements / "service.json"

    @property
    def history(self) -> Path:
        """The database of the account's days; see `ibkr_tools.history.database`."""
        return self.state / "history" / "history.sqlite"


def user_cache(environ: Mapping[str, str] | None = None) -> Path:
    """Returns where a person's own programs remember answers, who may not write the units' directories."""
    env = os.environ if environ is None else environ
    place = env.get("XDG_RUNTIME_DIR") or Path(env.get("HOME") or Path.home()) / ".cache"
    return Path(place) / "ibkr-tools" / "answers"


def require_matching_directories(
    directories: Directories,
    config: Path | None,
    *,
    runtime: Path | None,
    state: Path | None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Returns if `config` is the configuration of `directories`, or the directories beside it were named too.

    Another configuration is another IBKR user: its logins must not be counted with those of the first one.

    Raises:
        UsageError: it is another one, and which directories are its own was not said.
    """
    env = os.environ if environ is None else environ
    if config is None or os.path.realpath(config) == os.path.realpath(directories.config_file):
        return
    named = {
        "--runtime-dir": runtime or env.get("RUNTIME_DIRECTORY"),
        "--state-dir": state or env.get("STATE_DIRECTORY"),
    }
    if missing := [option for option, directory in named.items() if not directory]:
        raise UsageError(
            f"{config} is another configuration than {directories.config_file}, with a status and logins of its own",
            hint=f"Say where they are: {' '.join(f'{option} DIR' for option in missing)}.",
        )


def find_directories(
    environ: Mapping[str, str] | None = None,
    *,
    configuration: Path | None = None,
    runtime: Path | None = None,
    state: Path | None = None,
) -> Directories:
    """Takes each directory from the argument, else from systemd, else from the installation, else from home.

    On a machine with several IBKR users, the installation's are those of `instance.current_instance`.

    systemd sets CONFIGURATION_DIRECTORY, RUNTIME_DIRECTORY and STATE_DIRECTORY (colon separated if several:
    the first one counts). Outside a unit, a machine with `/etc/ibkr-tools` uses the system's directories, any
    other the person's own (`~/.config`, `~/.local/state`, and XDG_RUNTIME_DIR, which logind sets).
    """
    env = os.environ if environ is None else environ

    def given(name: str) -> Path | None:
        value = env.get(name, "").split(":")[0]
        return Path(value) if value else None

    home = Path(env.get("HOME") or Path.home())
    instance = current_instance(env)
    if instance or SYSTEM_CONFIGURATION.is_dir():
        system = (SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE)
        configured, running, kept = (directory_of(directory, instance) for directory in system)
        defaults = (configured, running, kept)
    else:
        own_state = home / ".local/state/ibkr-tools"
        user_runtime = given("XDG_RUNTIME_DIR")
        defaults = (
            home / ".config/ibkr-tools",
            user_runtime / "ibkr-tools" if user_runtime else own_state / "run",
            own_state,
        )
    return Directories(
        configuration=configuration or given("CONFIGURATION_DIRECTORY") or defaults[0],
        runtime=runtime or given("RUNTIME_DIRECTORY") or defaults[1],
        state=state or given("STATE_DIRECTORY") or defaults[2],
    )
