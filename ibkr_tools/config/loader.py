"""Reads `config.json`: strictly, every problem named at once."""

import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ibkr_tools import account_ids, files
from ibkr_tools.config import example
from ibkr_tools.config.problems import find_problems, with_line_and_column
from ibkr_tools.config.schema import AlertsConfig, Config, GatewayConfig
from ibkr_tools.config.values import (
    ARGUMENT_PATTERN,
    DATABASE_PATTERN,
    PATH_PATTERN,
    QUERY_PATTERN,
    TEXTFILE_PATTERN,
    UPSTREAM_PATTERN,
    USERNAME_PATTERN,
    PatternHint,
    explain_database,
    explain_nothing,
    explain_query,
    explain_upstream,
    explain_username,
    flex_upstream_problem,
    port_problem,
)
from ibkr_tools.errors import AccessDenied, ConfigError

TOKEN_KEY = "flex.token"  # noqa: S105  # its name
"""Where a token waits to be moved; see `password_adoption`."""


def token_in(raw: Mapping[str, Any]) -> object:
    """Returns what stands in the token's place; None if nothing does."""
    section = raw.get("flex")
    return section.get("token") if isinstance(section, dict) else None


def _pattern_hints(username: object) -> dict[str, PatternHint]:
    number = f"an account number: capital letters and digits, such as {account_ids.EXAMPLE_NUMBER}"
    name = username if isinstance(username, str) else ""
    return {
        account_ids.NUMBER_PATTERN: (number, lambda text: account_ids.explain_number(text, name)),
        account_ids.NAME_PATTERN: ("an account number or an alias", account_ids.explain_name),
        QUERY_PATTERN: ("a query's number, digits in quotes", explain_query),
        UPSTREAM_PATTERN: ("scheme, host and port, such as https://api.ibkr.com", explain_upstream),
        USERNAME_PATTERN: ("the name that you type on IBKR's page", explain_username),
        DATABASE_PATTERN: (
            "a URL without a password, such as postgresql://ibkr@db.example.org/portfolio",
            explain_database,
        ),
        TEXTFILE_PATTERN: (
            "an absolute path that ends in .prom, such as /run/ibkr-tools-metrics/ibkr-tools.prom",
            explain_nothing,
        ),
        ARGUMENT_PATTERN: ("a text with something in it, and without a NUL character", explain_nothing),
        PATH_PATTERN: (
            "a path such as /etc/ibkr-tools/password; ~/ is the home directory, ~NAME is nobody's",
            explain_nothing,
        ),
    }


_VALIDATORS = {"gateway.port": port_problem, "flex.upstream": flex_upstream_problem}
"""By key: what says why a value that is of the right kind cannot work."""


def config_problems(value: object, source: str = "") -> Iterator[str]:
    """Yields one line per problem of a decoded `config.json`; `source` is its text, to name lines."""
    pattern_hints = _pattern_hints(value.get("username") if isinstance(value, dict) else None)
    text_keys = ("password", "$schema", TOKEN_KEY)
    return find_problems(
        value, Config, text_keys=text_keys, pattern_hints=pattern_hints, validators=_VALIDATORS, source=source
    )


def _upstream_is_gateway(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yields one line if the gateway's servers are said to be the gateway itself."""
    gateway = msgspec.convert(raw.get("gateway", {}), GatewayConfig)
    for host in ("127.0.0.1", "localhost"):
        if gateway.upstream.partition("://")[2] == f"{host}:{gateway.port}":
            yield f"gateway.upstream: port {gateway.port} is gateway.port itself; IBKR's host belongs there"


def read_document(file: Path) -> tuple[dict[str, Any], bytes]:
    """Returns the configuration `file`, an object and not yet checked, and its text.

    Raises:
        ConfigError: not there, not readable, not JSON, no object, or world-readable with a secret in it.
    """
    try:
        data = files.read_user_file(file)
        others_can_read = bool(file.stat().st_mode & stat.S_IROTH)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file}: not there",
            hint=f"`sudo ibkr-tools setup` writes one; without services copy {example.example_file()} there.",
        ) from error
    except PermissionError as error:
        raise AccessDenied.to(file) from error
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    try:
        raw = msgspec.json.decode(data)
    except UnicodeDecodeError as error:
        # Its own words show a byte of what may be a password.
        raise ConfigError(
            f"{file}: not JSON: {with_line_and_column(data, f'not UTF-8 (byte {error.start})')}"
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: not JSON: {with_line_and_column(data, str(error))}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{file}: expected an object, such as config.example.json")
    if others_can_read and (raw.get("password") or token_in(raw)):
        what = "the password" if raw.get("password") else "the token"
        raise ConfigError(
            f"{file}: holds {what} and every user of this machine can read it",
            hint=f"chmod o= {file}",
        )
    return raw, data


def load_config(file: Path, *, allow_example: bool = False) -> Config:
    """Reads and checks the configuration; `allow_example`: for what asks neither IBKR nor its gateway anything.

    Raises:
        ConfigError: not there, not readable, not JSON, world-readable with a secret in it, still the example, or
            with wrong keys or values; then the message names every one of them.
    """
    raw, data = read_document(file)
    unreplaced = dict(example.unreplaced_values(raw)) if not allow_example else {}
    lines = [
        line for line in config_problems(raw, data.decode(errors="replace")) if line.partition(":")[0] not in unreplaced
    ]
    if lines := [*(lines or _upstream_is_gateway(raw)), *(f"{key}: {problem}" for key, problem in unreplaced.items())]:
        noun = "problem" if len(lines) == 1 else "problems"
        raise ConfigError(
            f"{file}: {len(lines)} {noun}:\n" + "\n".join(f"  {line}" for line in lines),
            hint="`ibkr-tools config schema` prints what is allowed.",
        )
    return config_from(raw)


def config_from(document: Mapping[str, Any]) -> Config:
    """Returns the configuration that a document is in which there are no problems; secrets in it are left out."""
    raw = {key: value for key, value in document.items() if key not in {"password", "$schema"}}
    if "flex" in raw:
        raw["flex"] = {key: value for key, value in raw["flex"].items() if key != "token"}
    return msgspec.convert(raw, Config, strict=True)


def read_alerts_alone(file: Path) -> AlertsConfig | None:
    """Returns `alerts` of a configuration that is wrong elsewhere, or is no JSON elsewhere.

    That the configuration is wrong is what a person most needs to be told. None: `alerts` is not there, is there twice,
    or is wrong itself.
    """
    try:
        text = files.read_user_file(file).decode(errors="replace")
    except OSError:
        return None
    found = list(re.finditer(r'"alerts"\s*:\s*', text))
    # Of two, nobody knows which one counts.
    if len(found) != 1:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, found[0].end())
        return msgspec.convert(value, AlertsConfig, strict=True)
    except (ValueError, RecursionError):
        return None
