"""Which of several IBKR users on this machine a process works for: its name, and the names of what belongs to it.

The instance without a name has the plain names: `ibkr-gateway.service`, the user `ibkr`, `/etc/ibkr-tools`. That called
NAME has `ibkr-gateway@NAME.service`, the user `ibkr-NAME` and `/etc/ibkr-tools@NAME`. What has to differ between two
instances is derived from the name; `bin/_instance.sh` does the same for the units.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ibkr_tools.errors import UsageError

INSTANCE_VARIABLE = "IBKR_TOOLS_INSTANCE"
"""The name in the environment: set in the units of an instance, and by `ibkr-tools --instance` for its children."""

NAME_PATTERN = "[a-z][a-z0-9-]{0,19}"
"""A name fits into that of a user, of 32 characters, and means itself in the name of a unit."""

PLAIN = "default"
"""What the instance without a name is called in a list of several; no other is called so."""

UNITS = ("alert", "fetch", "firewall", "flex", "gateway", "login", "metrics", "relay", "snapshot", "watchdog")
"""What comes after `ibkr-` in the names of the units that every instance has of its own."""

COMMANDS_OF_AN_INSTANCE = (
    *("alert", "api", "config", "diff", "doctor", "fetch", "flex", "gateway", "history", "login", "logs", "metrics"),
    *("pause", "password", "resume", "setup", "show", "status", "unlock", "watchdog"),
)
"""Commands of `ibkr-tools` that work in the directories of an instance."""

_NAMES = (
    rf"(?P<path>/(?:etc|run|var/lib)/ibkr-tools(?:-metrics)?)(?![\w@-])"
    rf"|\b(?P<unit>ibkr-(?:{'|'.join(UNITS)}))(?P<kind>\.(?:service|path|timer|socket))?(?![\w@-])"
    rf"|\b(?P<program>ibkr-tools)(?= (?:{'|'.join(COMMANDS_OF_AN_INSTANCE)})\b)"
    r"|(?P<script>\./bin/(?:un)?install|\bibkr-tools-install)\b(?! --instance)"
    r"|(?:(?<=USER )|(?<= as )|(?<=chown )|(?<=user )|(?<=units, ))(?P<user>ibkr)(?![\w@-])"
)


def is_name(name: str) -> bool:
    """Says whether an instance may be called so."""
    return bool(re.fullmatch(NAME_PATTERN, name)) and not name.endswith("-") and "--" not in name and name != PLAIN


def require_name(name: str) -> str:
    """Returns the name of an instance.

    Raises:
        UsageError: it is none.
    """
    if not is_name(name):
        raise UsageError(
            f"{name!r} cannot be the name of an instance",
            hint="A small letter, then small letters, digits and single dashes, at most 20 characters, such as anna.",
        )
    return name


def current_instance(environ: Mapping[str, str] | None = None) -> str | None:
    """Returns the name of the instance that this process works for; None: the one without a name.

    Raises:
        UsageError: what the environment names cannot be one.
    """
    name = (os.environ if environ is None else environ).get(INSTANCE_VARIABLE)
    return require_name(name) if name else None


def directory_of(plain: Path, instance: str | None) -> Path:
    """Returns the directory of an instance that is `plain` for the one without a name.

    It lies beside that, not in it: what is in a directory is seen by whoever may enter that.
    """
    return plain.with_name(f"{plain.name}@{instance}") if instance else plain


def user_of(plain: str, instance: str | None) -> str:
    """Returns the user of the units of an instance, and its group; `plain` is that of the instance without a name."""
    return f"{plain}-{instance}" if instance else plain


def unit_of(plain: str, instance: str | None) -> str:
    """Returns the unit of an instance; `plain` is its name without one, such as `ibkr-fetch.service`.

    `ibkr-alert@` is the template that tells of a failed unit, so the delivery of an instance has another name.
    """
    if not instance:
        return plain
    name, dot, kind = plain.partition(".")
    return f"{'ibkr-alert-delivery' if name == 'ibkr-alert' else name}@{instance}{dot}{kind}"


def unit_of_template(template: str, instance: str) -> str:
    """Returns the unit of an instance of a template, such as `ibkr-fetch@.service`; any other name as it is."""
    return template.replace("@.", f"@{instance}.")


def plain_name_of(template: str) -> str:
    """Returns the unit of the instance without a name that a template is made of; see `unit_of`.

    The handlers of failures are made for each unit, and stay as they are: `ibkr-alert-fetch@.service`.
    """
    name, _, kind = template.partition("@.")
    if name == "ibkr-alert-delivery":
        return f"ibkr-alert.{kind}"
    return template if name.startswith("ibkr-alert-") else f"{name}.{kind}"


def in_names_of(text: str, instance: str | None) -> str:
    """Returns a text for people with the units, commands and directories in it that are those of `instance`."""
    if not instance:
        return text

    def replace(found: re.Match[str]) -> str:
        if found["user"]:
            return user_of(found["user"], instance)
        if found["path"]:
            return f"{found['path']}@{instance}"
        if found["unit"]:
            return unit_of(found["unit"] + (found["kind"] or ""), instance)
        return f"{found[0]} --instance {instance}"

    return re.sub(_NAMES, replace, text)


def installed_instances(runtime: Path) -> list[str]:
    """Returns the names of the instances on this machine; `runtime` is the runtime directory of the nameless one.

    tmpfiles.d makes the others at boot, beside it; they go with `bin/uninstall`, which leaves the configuration there.
    """
    prefix = f"{runtime.name}@"
    names = [path.name.removeprefix(prefix) for path in runtime.parent.glob(f"{prefix}*") if path.is_dir()]
    return sorted(name for name in names if is_name(name))


def describe_invisible(name: str | None) -> str:
    """Returns what somebody is told of an instance that `visible_instances` has not; None: the one without a name."""
    return f"not for this user: root and the group {user_of('ibkr', name)} may look"


def visible_instances(runtime: Path) -> list[str]:
    """Returns the instances of which this user may read the status, `PLAIN` for the one without a name first."""
    every = [(PLAIN, runtime), *((name, directory_of(runtime, name)) for name in installed_instances(runtime))]
    return [name for name, directory in every if os.access(directory, os.R_OK | os.X_OK)]
