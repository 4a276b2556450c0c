"""The configuration and the secrets: there, as they have to be, and readable by nobody else."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from ibkr_tools.config import check, password_adoption, secrets
from ibkr_tools.config.example import example_file
from ibkr_tools.config.loader import read_document, token_in
from ibkr_tools.config.schema import Config
from ibkr_tools.doctor import unit_settings
from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.subject import Extent, Subject, edit_command
from ibkr_tools.errors import ConfigError
from ibkr_tools.installation import INSTALL_SERVICES
from ibkr_tools.instance import current_instance, unit_of
from ibkr_tools.privileges import service_user, user_id

_CONFIG, _SECRETS = Findings("configuration"), Findings("secrets")


def check_config(subject: Subject) -> Iterator[Finding]:
    """Judges config.json: what a command would refuse, and what does not fit this machine."""
    edit = edit_command(subject)
    config = subject.config
    if config is None:
        error = subject.config_error
        if not os.path.lexists(subject.config_file) and _may_enter(subject.config_file.parent):
            yield _CONFIG.fault(("there is no configuration: ", Private(subject.config_file)), _first_step(subject))
        elif error is not None and _is_closed(subject.config_file):
            yield _CONFIG.unseen("this user may not read the configuration")
        elif error is not None:
            command = Private(f"{_sudo(subject)}{error.hint}") if _is_command(error.hint) else edit
            for mistake in _mistakes(error):
                yield _CONFIG.fault(("the configuration is wrong: ", Private(mistake)), command)
        return
    problems = [_CONFIG.fault(_line(line), edit) for line in check.unusable_values(config)]
    remarks = [*check.machine_warnings(config)]
    if subject.is_installed:
        remarks += check.unit_warnings(config, user_id(service_user()))
    problems += [_CONFIG.notice(_line(line), edit) for line in remarks]
    yield from problems or [
        _CONFIG.ok(f"complete; changed from the defaults: {', '.join(changed_keys(config)) or '-'}")
    ]


def _mistakes(error: ConfigError) -> list[str]:
    """Returns each mistake by itself, as `load_config` has them in lines below the name of the file."""
    head, *lines = error.message.splitlines()
    return [line.strip() for line in lines] or [head]


def _is_command(hint: str | None) -> bool:
    return hint is not None and hint.startswith("chmod ")


def _sudo(subject: Subject) -> str:
    return "sudo " if subject.is_installed else ""


def _first_step(subject: Subject) -> Private | str:
    if subject.is_installed:
        return INSTALL_SERVICES
    file = shlex.quote(str(subject.config_file))
    folder = shlex.quote(str(subject.config_file.parent))
    example = shlex.quote(str(example_file()))
    return Private(f"mkdir -p {folder} && cp {example} {file} && chmod 600 {file}")


def _may_enter(directory: Path) -> bool:
    return not directory.exists() or os.access(directory, os.X_OK)


def _is_closed(file: Path) -> bool:
    try:
        with file.open("rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def _line(line: str) -> tuple[str | Private, ...]:
    """Returns a remark of `config.check`; its first word is a key, the rest may name a path or a host."""
    key, _, rest = line.partition(": ")
    return f"{key}: ", Private(rest)


def changed_keys(config: Config) -> list[str]:
    """Returns the keys that are not at their defaults; their values are nobody's business."""
    import msgspec

    default = msgspec.to_builtins(Config(username="", account=""))
    actual = msgspec.to_builtins(config)
    return [
        f"{section}.{key}"
        for section, values in actual.items()
        if isinstance(values, dict)
        for key, value in values.items()
        if value != default[section][key]
    ]


def check_secrets(subject: Subject) -> Iterator[Finding]:
    """Judges the password, the token and the files with both: there, possible, and not in other files besides."""
    config, file = subject.config, subject.config_file
    if config is None:
        yield _SECRETS.unseen("without a configuration nobody says which are needed")
        return
    sudo = _sudo(subject)
    errors, remarks = secrets.check_passwords(file, config)
    errors += secrets.check_token(file, config)
    problems = [
        _SECRETS.fault(
            ("a secret cannot be used: ", Private(error.message)),
            Private(f"{sudo}{error.hint}") if _is_command(error.hint) else _enter(file, "password"),
        )
        for error in errors
    ]
    problems += [_SECRETS.notice(("the password is unusual: ", Private(remark))) for remark in remarks]
    problems += _copies(file)
    if subject.is_installed:
        problems += _unmoved(file)
    if subject.is_installed and not subject.is_root:
        yield from problems or [_SECRETS.unseen("only root can look at the secrets")]
        return
    problems += [] if problems else _missing(subject, config)
    yield from problems or [_SECRETS.ok("there, and for nobody else to read")]


def _enter(file: Path, name: str) -> Private:
    """Returns a command that asks for a secret and puts it where it belongs, with the mode that it has to have."""
    target = shlex.quote(str(file.with_name(name)))
    return Private(f"systemd-ask-password --timeout=0 'IBKR {name}:' | sudo install -m 0600 /dev/stdin {target}")


def _unmoved(file: Path) -> Iterator[Finding]:
    """Yields the secrets that the group can read, for they stand in the configuration still."""
    try:
        raw = read_document(file)[0]
    except ConfigError:
        return
    for what, value in (("password", raw.get("password")), ("token", token_in(raw))):
        if value:
            yield _SECRETS.fault(
                f"the {what} stands in the configuration, where the group can read it",
                f"sudo ibkr-tools config adopt-{what}",
            )


def _copies(file: Path) -> list[Finding]:
    names = {
        password_adoption.PASSWORD: ("password", "totp", "database-password"),
        password_adoption.TOKEN: ("flex-token",),
    }
    found = []
    for secret, sources in names.items():
        for path in password_adoption.find_copies(
            file.parent, *(file.with_name(name) for name in sources), secret=secret
        ):
            message = (f"a file beside the configuration has a {secret.what} in it: ", Private(path))
            found.append(_SECRETS.fault(message, Private(f"sudo rm {shlex.quote(str(path))}")))
    return found


def _missing(subject: Subject, config: Config) -> Iterator[Finding]:
    """Yields the secrets that are needed and are not there."""
    file = subject.config_file
    if subject.has_gateway and not (
        subject.is_installed and _is_encrypted(unit_of("ibkr-login.service", current_instance()), "ibkr-password")
    ):
        try:
            secrets.read_password(file, config, {})
        except ConfigError:
            yield _SECRETS.fault("there is no password", _enter(file, "password"))
    if subject.has_gateway and config.login.second_factor.method == "totp":
        try:
            secrets.read_totp_secret(file, config, {})
        except ConfigError:
            yield _SECRETS.fault("there is no secret of the authenticator app", _enter(file, "totp"))
    if config.flex.query is not None or subject.extent is Extent.STATEMENTS:
        try:
            secrets.read_token(file, config, {})
        except ConfigError:
            yield _SECRETS.fault("there is no token of the Flex Web Service", _enter(file, "flex-token"))


def _is_encrypted(unit: str, credential: str) -> bool:
    """Says whether a drop-in has systemd decrypt a credential, which stands elsewhere then."""
    texts = unit_settings.read_files(unit_settings.unit_files(unit))
    values = unit_settings.settings_of(texts).get(("Service", "LoadCredentialEncrypted"), ())
    return any(value.partition(":")[0] == credential for value in values)
