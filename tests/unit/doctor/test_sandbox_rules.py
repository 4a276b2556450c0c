"""Which settings of a unit are weaker than the shipped ones: of each kind several, and what is not weaker."""

import pytest

from ibkr_tools.doctor.sandbox_rules import weakenings
from ibkr_tools.doctor.unit_settings import settings_of
from tests.support.unit_files import FILES, drop_ins


def found(unit: str, drop_in: str) -> set[str]:
    """Returns the settings that a drop-in weakens in a unit of ours."""
    path = next(path for path in FILES if path.name == unit)
    texts = [file.read_text() for file in (path, *drop_ins(path))]
    section = "Socket" if unit.endswith(".socket") else "Service"
    body = drop_in if drop_in.startswith("[") else f"[{section}]\n{drop_in}"
    return {weak.key[1] for weak in weakenings(settings_of(texts), settings_of([*texts, body]))}


@pytest.mark.parametrize(
    "line",
    [
        *(
            "NoNewPrivileges=no",
            "NoNewPrivileges=false",
            "NoNewPrivileges=0",
            "NoNewPrivileges=",
            "NoNewPrivileges=off",
        ),
        *("ProtectSystem=full", "ProtectSystem=", "ProtectSystem=no", "ProtectHome=read-only", "ProtectHome=tmpfs"),
        *("PrivateUsers=no", "PrivateTmp=no", "PrivateDevices=no", "DevicePolicy=auto", "ProcSubset=all"),
        *("ProtectProc=default", "KeyringMode=shared", "ProtectClock=no", "ProtectKernelLogs=no", "RemoveIPC=no"),
        *("MemoryDenyWriteExecute=no", "LockPersonality=no", "RestrictRealtime=no", "RestrictSUIDSGID=no"),
        *("CapabilityBoundingSet=CAP_SYS_ADMIN", "CapabilityBoundingSet=~CAP_NET_RAW\nCapabilityBoundingSet=CAP_KILL"),
        *("AmbientCapabilities=CAP_DAC_OVERRIDE", "SupplementaryGroups=shadow", "ReadWritePaths=/etc", "PAMName=login"),
        *("BindPaths=/home", "BindReadOnlyPaths=/root", "RootDirectory=/srv", "DeviceAllow=/dev/mem rw"),
        *("IPAddressDeny=", "IPAddressAllow=any", "RestrictAddressFamilies=", "RestrictAddressFamilies=AF_PACKET"),
        *("SystemCallFilter=", "SystemCallFilter=@privileged", "SystemCallArchitectures=", "RestrictNamespaces="),
        *("RestrictNamespaces=no", "NoExecPaths=", "InaccessiblePaths=", "ReadOnlyPaths=", "UMask=0022", "UMask=0"),
        *("User=root", "User=", "Group=root", "LimitCORE=infinity", "KillMode=none", "NotifyAccess=all"),
        *("ExecStartPre=+/bin/sh -c true", "ExecStartPost=-+/bin/true", "ExecStopPost=!/bin/true", "Delegate=yes"),
        *("Environment=LD_PRELOAD=/tmp/x.so", "Environment='LD_LIBRARY_PATH=/tmp' A=b", "EnvironmentFile=/tmp/x"),
        *("LoadCredential=ibkr-totp:/etc/ibkr-tools/totp", "StateDirectoryMode=0777", "RuntimeDirectoryMode=0755"),
        *("PassEnvironment=HOME", "ConfigurationDirectoryMode=0755", "SocketBindAllow=any", "ExecPaths=/tmp"),
    ],
)
def test_what_weakens_a_unit_is_named(line: str) -> None:
    names = {part.partition("=")[0] for part in line.splitlines()}
    assert found("ibkr-watchdog.service", line) == names


@pytest.mark.parametrize(
    "line",
    [
        *("MemoryMax=1G", "RestartSec=9", "Nice=5", "TimeoutStartSec=1h", "ExecStartPre=/bin/true", "CPUQuota=50%"),
        *("NoNewPrivileges=yes", "NoNewPrivileges=true", "UMask=0177", "ProtectSystem=strict", "PrivateNetwork=yes"),
        *("InaccessiblePaths=/srv", "ReadOnlyPaths=/var", "SystemCallFilter=~@debug", "IPAddressDeny=192.0.2.0/24"),
        *("Environment=TZ=Europe/Paris", "LogLevelMax=info", "[Unit]\nWants=network.target", "StateDirectoryMode=0700"),
        *("NoExecPaths=/usr/games", "RestrictAddressFamilies=~AF_UNIX", "CapabilityBoundingSet="),
    ],
)
def test_what_is_stricter_or_nothing_of_the_kind_is_not(line: str) -> None:
    assert found("ibkr-watchdog.service", line) == set()


def test_a_unit_without_its_sandbox_is_weaker_in_all_of_it() -> None:
    """As when its drop-in was masked, or exempted by a link to /dev/null."""
    path = next(path for path in FILES if path.name == "ibkr-fetch.service")
    whole = settings_of(file.read_text() for file in (path, *drop_ins(path)))
    names = {weak.key[1] for weak in weakenings(whole, settings_of([path.read_text()]))}
    assert names >= {
        *("NoNewPrivileges", "CapabilityBoundingSet", "SystemCallFilter", "RestrictNamespaces", "ProtectSystem"),
        *("RestrictAddressFamilies", "IPAddressDeny", "UMask", "LimitCORE", "NoExecPaths", "PrivateUsers"),
    }


@pytest.mark.parametrize("unit", [path.name for path in FILES])
def test_what_is_shipped_is_not_weaker_than_itself(unit: str) -> None:
    assert found(unit, "") == set()


def test_the_sockets_mode_counts_too() -> None:
    assert found("ibkr-relay.socket", "SocketMode=0666") == {"SocketMode"}
    assert found("ibkr-relay.socket", "ListenStream=5001") == {"ListenStream"}


def test_what_the_documentation_offers_is_said_to_be_offered() -> None:
    path = next(path for path in FILES if path.name == "ibkr-login.service")
    texts = [file.read_text() for file in (path, *drop_ins(path))]
    more = "[Service]\nExecPaths=/opt/jdk\nPrivateNetwork=no\nUser=root\n"
    weak = {weak.key[1]: weak.is_offered for weak in weakenings(settings_of(texts), settings_of([*texts, more]))}
    assert weak == {"ExecPaths": True, "PrivateNetwork": True, "User": False}


def test_an_encrypted_password_as_documented_is_no_weakening() -> None:
    more = (
        "LoadCredential=\nLoadCredentialEncrypted=ibkr-password:/etc/ibkr-tools/password.cred\n"
        "LoadCredential=ibkr-totp:/etc/ibkr-tools/totp"
    )
    assert found("ibkr-login.service", more) == set()
    assert found("ibkr-watchdog.service", more.splitlines()[1]) == {"LoadCredentialEncrypted"}
