"""Which settings of a unit are less strict than the shipped ones. Pure: tables of what each setting means.

systemd.exec(5), systemd.resource-control(5), systemd.socket(5).
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ibkr_tools.doctor.unit_settings import Key, Settings

_YES = ("yes", "true", "on", "1")
_NO = ("no", "false", "off", "0", "")

_SCALES = {
    "ProtectSystem": ("no", "yes", "full", "strict"),
    "ProtectHome": ("no", "tmpfs", "read-only", "yes"),
    "ProtectProc": ("default", "ptraceable", "noaccess", "invisible"),
    "ProcSubset": ("all", "pid"),
    "DevicePolicy": ("auto", "closed", "strict"),
    "KeyringMode": ("inherit", "shared", "private"),
    "NotifyAccess": ("all", "exec", "main", "none"),
    "KillMode": ("none", "process", "mixed", "control-group"),
    "ProtectControlGroups": ("no", "yes", "private", "strict"),
    "PrivateTmp": ("no", "yes", "disconnected"),
    "PrivateUsers": ("no", "identity", "yes"),
} | dict.fromkeys(
    (
        *("NoNewPrivileges", "RestrictSUIDSGID", "PrivateMounts", "PrivateDevices", "PrivateNetwork", "PrivateIPC"),
        *("ProtectClock", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"),
        *("RemoveIPC", "MemoryDenyWriteExecute", "LockPersonality", "RestrictRealtime", "DynamicUser", "RemoveOnStop"),
    ),
    ("no", "yes"),
)
"""The values of a setting from the least strict to the strictest."""

_DEFAULTS = {"KillMode": "control-group", "NotifyAccess": "main"}
"""What a setting is that is not there, where that is not the least strict value."""

_GRANTS = (
    *("ExecPaths", "ReadWritePaths", "BindPaths", "BindReadOnlyPaths", "IPAddressAllow", "SocketBindAllow"),
    *("DeviceAllow", "AmbientCapabilities", "SupplementaryGroups", "EnvironmentFile", "PassEnvironment", "PAMName"),
    *("RootDirectory", "RootImage", "JoinsNamespaceOf", "NetworkNamespacePath", "ExtensionImages", "MountImages"),
    *("OpenFile", "ListenStream", "ListenDatagram", "ListenFIFO", "Delegate", "StateDirectory"),
)
"""What is not in the shipped value gives the unit something."""

_DENIALS = (
    *("InaccessiblePaths", "ReadOnlyPaths", "NoExecPaths", "IPAddressDeny", "SocketBindDeny", "TemporaryFileSystem"),
    *("SystemCallArchitectures",),
)
"""What the shipped value has and this one has not is no longer taken away."""

_FILTERS = ("CapabilityBoundingSet", "SystemCallFilter", "RestrictAddressFamilies", "RestrictNamespaces")
"""Lists that allow their words, or with `~` forbid them; not set, they allow everything."""

_MODES = ("StateDirectoryMode", "RuntimeDirectoryMode", "ConfigurationDirectoryMode", "SocketMode", "DirectoryMode")
_EXACT = ("User", "Group", "SocketUser", "SocketGroup", "LimitCORE")
_COMMANDS = ("ExecStart", "ExecStartPre", "ExecStartPost", "ExecCondition", "ExecReload", "ExecStop", "ExecStopPost")
_CREDENTIALS = ("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted")
_LOADERS = re.compile(r"(LD_|PYTHON|GCONV_PATH|GLIBC_|_?JAVA|JDK_)")

_OFFERED = ("ExecPaths", "IPAddressAllow", "PrivateNetwork")
"""What docs/systemd.md offers to be changed."""


@dataclass(frozen=True, kw_only=True)
class Weakening:
    """A setting that is less strict: its name, and what it is now; `is_offered`: the documentation shows how."""

    key: Key
    value: str
    is_offered: bool = False


def weakenings(shipped: Settings, actual: Settings) -> Iterator[Weakening]:
    """Yields every setting of a unit that gives it, or others, more than the shipped one does."""
    given = _credentials(shipped)
    for key in sorted({*shipped, *actual}):
        name = key[1]
        before, now = shipped.get(key, ()), actual.get(key, ())
        if name in _FILTERS and key in shipped and key not in actual:
            yield Weakening(key=key, value="(not set)")
        elif name in _CREDENTIALS:
            if not {value.partition(":")[0] for value in now} <= given:
                yield Weakening(key=key, value=" ".join(now))
        elif before != now and _is_weaker(name, before, now):
            yield Weakening(key=key, value=" ".join(now) or "(empty)", is_offered=name in _OFFERED)


def _credentials(settings: Settings) -> set[str]:
    """Returns the names of those that a unit gets, whether they are encrypted on disk or not."""
    values = (value for key, values in settings.items() if key[1] in _CREDENTIALS for value in values)
    return {value.partition(":")[0] for value in values}


def _is_weaker(name: str, before: Sequence[str], now: Sequence[str]) -> bool:
    if name in _SCALES:
        return _rank(name, now) < _rank(name, before)
    rule = _RULES.get(name)
    return rule is not None and rule(before, now)


def _rank(name: str, values: Sequence[str]) -> int:
    scale = _SCALES[name]
    value = values[-1].lower() if values else _DEFAULTS.get(name, scale[0])
    value = "yes" if value in _YES and "yes" in scale else "no" if value in _NO and "no" in scale else value
    return scale.index(value) if value in scale else 0


def _words(values: Sequence[str]) -> set[str]:
    return {word.lstrip("-+") for value in values for word in value.split()}


def _grants_more(before: Sequence[str], now: Sequence[str]) -> bool:
    return not _words(now) <= _words(before)


def _denies_less(before: Sequence[str], now: Sequence[str]) -> bool:
    return not _words(before) <= _words(now)


def _filters_less(before: Sequence[str], now: Sequence[str]) -> bool:
    """Says whether a list may allow more: only what forbids further words surely does not."""
    if list(now[: len(before)]) == list(before):
        return any(not value.startswith("~") for value in now[len(before) :])
    if any(value.startswith("~") for value in (*before, *now)):
        return True
    # Without a value, or with `no`, nothing is filtered; a capability set that is empty allows nothing.
    return not _words(now) - {"yes", "none"} <= _words(before) or (not now and bool(before))


def _is_different(before: Sequence[str], now: Sequence[str]) -> bool:
    return before[-1:] != now[-1:]


def _mode_is_wider(before: Sequence[str], now: Sequence[str]) -> bool:
    def mode(values: Sequence[str]) -> int:
        try:
            return int(values[-1], 8) if values else 0o755
        except ValueError:
            return 0o7777

    return bool(mode(now) & ~mode(before))


def _umask_is_wider(before: Sequence[str], now: Sequence[str]) -> bool:
    def mask(values: Sequence[str]) -> int:
        try:
            return int(values[-1], 8) if values else 0o022
        except ValueError:
            return 0

    return bool(mask(before) & ~mask(now))


def _runs_more(before: Sequence[str], now: Sequence[str]) -> bool:
    """Says whether a further program runs outside of the sandbox: `+` and `!` start it with all rights."""
    return any(value[:4].lstrip("-@:").startswith(("+", "!")) for value in now if value not in before)


def _loads_more(before: Sequence[str], now: Sequence[str]) -> bool:
    def names(values: Sequence[str]) -> set[str]:
        return {word.partition("=")[0] for value in values for word in _split(value)}

    return any(_LOADERS.match(name) for name in names(now) - names(before))


def _split(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()


_Rule = Callable[[Sequence[str], Sequence[str]], bool]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_GRANTS, _grants_more),
    **dict.fromkeys(_DENIALS, _denies_less),
    **dict.fromkeys(_FILTERS, _filters_less),
    **dict.fromkeys(_EXACT, _is_different),
    **dict.fromkeys(_MODES, _mode_is_wider),
    **dict.fromkeys(_COMMANDS, _runs_more),
    "UMask": _umask_is_wider,
    "Environment": _loads_more,
}
