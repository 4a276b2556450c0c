"""The jar's `conf.yaml` and `logback.xml`, rendered from the templates in `clientportal/`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.errors import ConfigError

CONF_FILE = "conf.yaml"
LOGBACK_FILE = "logback.xml"
CONF_JAR = "conf.jar"
CONF_ENTRY = f"ibkr-tools/{CONF_FILE}"
"""What the configuration is called in its jar: no jar of IBKR's has the same name."""

# The wheel carries them inside the package, a checkout at its root.
_TEMPLATE_DIRECTORIES = (Path(__file__).parent / "templates", Path(__file__).parents[2] / "clientportal")

# Priorities of syslog(3).
_LEVELS = {"ERROR": 3, "WARN": 4, "INFO": 6}

# Values that must not reach the journal even inside an error's text: JSON (the parser quotes what it could not read),
# query strings, long hexadecimal numbers (K, session ids). Classes and line numbers of a stack trace stay readable.
_REDACTED_PATTERN = r"(?s)\{.*\}|\(String\)&quot;[^\n]*|\?[^\s,|]*|[0-9A-Fa-f]{16,}"


_HARMLESS_RECORDS = {
    # On a machine without a hardware network address, at every login; the login is not affected.
    r"Unhandled exception(\n)(?s:.*)TstTokenUtils\.getMacAddress(?s:.*)": (
        r"No hardware network address on this machine; the login goes on without one$1"
    ),
    # At every login of a user without trading rights; where the brokerage tier is wanted, the watchdog says so.
    "SSODH init failed": "SSODH init failed: this user has no brokerage session",
    # Netty's, once after each start: on a machine without a hardware network address, and on one without any route.
    r"Failed to find a usable hardware address[^\n]*": (
        "No hardware network address on this machine; Netty makes one up"
    ),
    r"Unable to parse the boolean system property .java\.net\.preferIPv6Addresses.:system[^\n]*": (
        "No route to anywhere yet; Java orders addresses as the system does"
    ),
}
"""What the jar calls an error or a warning and is none (docs/reference/gateway-process.md#harmless-errors), as a
regular expression, and what is logged instead, as information."""


@dataclass(frozen=True, kw_only=True)
class Templates:
    """The texts with `{{names}}` in them."""

    conf: str
    logback: str


@dataclass(frozen=True, kw_only=True)
class RenderedConf:
    """The texts as the jar reads them; `conf` holds the key store's password."""

    conf: str
    logback: str


def read_templates() -> Templates:
    """Returns our templates, from the package or from the checkout.

    Raises:
        ConfigError: the installation is incomplete.
    """
    for place in _TEMPLATE_DIRECTORIES:
        if (place / f"{CONF_FILE}.template").is_file():
            return Templates(
                conf=(place / f"{CONF_FILE}.template").read_text(encoding="utf-8"),
                logback=(place / f"{LOGBACK_FILE}.template").read_text(encoding="utf-8"),
            )
    raise ConfigError(
        f"{_TEMPLATE_DIRECTORIES[0]}: the templates of the gateway's configuration are missing", hint="Install again."
    )


def _substitute(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match.group(1)], template)


def _yaml(value: str) -> str:
    """Quotes a text for YAML: a JSON string is a YAML string, and ASCII only is what SnakeYAML 1.17 surely reads."""
    return json.dumps(value)


def _appender(level: str, prefix: str, info: str) -> str:
    # %nopex: the exception is already inside the innermost %replace, and logback would add it once more.
    inner = f"%replace(%msg%n%ex{{10}}){{'{_REDACTED_PATTERN}', '…'}}"
    pattern = f"{prefix}%replace({inner}){{'(\\n)(?=.)', '$1{prefix}'}}"
    for record, shown in _HARMLESS_RECORDS.items():
        pattern = f"%replace({pattern}){{'^{prefix}{record}', '{info}{shown}'}}"
    pattern += "%nopex"
    return f"""\
  <appender name="{level}" class="ch.qos.logback.core.ConsoleAppender">
    <filter class="ch.qos.logback.classic.filter.LevelFilter">
      <level>{level}</level><onMatch>ACCEPT</onMatch><onMismatch>DENY</onMismatch>
    </filter>
    <encoder><charset>UTF-8</charset><pattern>{pattern}</pattern></encoder>
  </appender>"""


def render(
    templates: Templates, *, port: int, upstream: str, keystore: Path, keystore_password: str, journal: bool
) -> RenderedConf:
    """Returns both files for one gateway.

    Args:
        templates: from `read_templates`.
        port: on all addresses (the jar knows no other way), answered to 127.0.0.1 only.
        upstream: scheme, host and port if it is not the scheme's. With https the jar's WebSocket goes to port 443
            whatever the port says; with http to host and port.
        keystore: absolute path of the PKCS#12 file.
        keystore_password: its password.
        journal: put journald's `<N>` before every line.
    """
    values = {
        "upstream": _yaml(upstream),
        "upstream_tls": "true" if upstream.startswith("https:") else "false",
        "port": str(port),
        "origin": _yaml(rf"https://(127\.0\.0\.1|localhost):{port}"),
        "keystore": _yaml(str(keystore)),
        "keystore_password": _yaml(keystore_password),
    }
    prefixes = {level: f"&lt;{number}&gt;" if journal else f"{level.lower()}: " for level, number in _LEVELS.items()}
    appenders = "\n".join(_appender(level, prefix, prefixes["INFO"]) for level, prefix in prefixes.items())
    return RenderedConf(
        conf=_substitute(templates.conf, values), logback=_substitute(templates.logback, {"appenders": appenders})
    )


def as_jar(conf: str) -> bytes:
    """Returns a jar with the configuration in it and nothing else.

    The program reads its configuration from the class path. A directory there would be a place for classes, and the
    JVM shares none from a class archive with a directory before them.
    """
    import io
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo(CONF_ENTRY), conf)
    return content.getvalue()
