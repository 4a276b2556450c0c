"""What the jar reads is rendered safely: quoted, closed, and with journald's priorities."""

import io
import json
import re
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from ibkr_tools.gateway import conf_templates

TEMPLATES = conf_templates.read_templates()


def rendered(
    *, upstream: str = "https://api.ibkr.com", keystore: str = "/s/gateway.p12", journal: bool = False
) -> conf_templates.RenderedConf:
    return conf_templates.render(
        TEMPLATES, port=5001, upstream=upstream, keystore=Path(keystore), keystore_password="p", journal=journal
    )


def value(text: str, key: str) -> object:
    match = re.search(rf"^\s*{re.escape(key)}: (.*)$", text, re.MULTILINE)
    assert match is not None
    return json.loads(match.group(1))


def test_values_are_filled_in() -> None:
    text = rendered().conf
    assert value(text, "proxyRemoteHost") == "https://api.ibkr.com"
    assert value(text, "proxyRemoteSsl") is True
    assert value(text, "listenPort") == 5001
    assert value(text, "sslCert") == "/s/gateway.p12"
    assert value(text, "authDelay") == 3000
    assert value(text, "webApps") == []
    origin = value(text, "origin.allowed")
    assert isinstance(origin, str)
    assert re.fullmatch(origin, "https://127.0.0.1:5001")
    assert not re.fullmatch(origin, "https://127a0b0c1:5001")
    assert "{{" not in re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def test_a_plain_upstream_is_plain_for_the_socket_too() -> None:
    text = rendered(upstream="http://127.0.0.1:5080").conf
    assert value(text, "proxyRemoteSsl") is False


def test_only_this_machine_is_admitted() -> None:
    """Both lists must be there, or the jar admits everybody; it understands no networks and no IPv6."""
    addresses = re.findall(r'^    - "(.*)"$', rendered().conf, re.MULTILINE)
    assert addresses == ["127.0.0.1", "0.0.0.0"]


@pytest.mark.parametrize("name", ['a"b', "a: b", "a\nlistenSsl: false", "ä{{port}}", "a\\b", "a #b", "\U0001f600"])
def test_a_strange_path_stays_one_value(name: str) -> None:
    text = rendered(keystore=f"/{name}").conf
    assert value(text, "sslCert") == f"/{name}"
    assert text.count("\nlistenSsl") == 1
    assert text.isascii()


def test_logging_is_closed_where_the_jar_tells_secrets() -> None:
    document = ET.fromstring(rendered().logback)
    levels = {logger.get("name"): logger.get("level") for logger in document.iter("logger")}
    told = {name for name, level in levels.items() if level not in ("OFF", "ERROR", "WARN")}
    assert told == {"ibgroup.web.core.clientportal.gw.http.GatewayHttpProxy"}
    root = document.find("root")
    assert root is not None
    assert root.get("level") == "WARN"
    assert document.get("scan") is None
    assert not list(document.iter("rollingPolicy"))


def test_every_level_has_its_priority_only_under_journald() -> None:
    for journal, expected in ((True, ["<3>", "<4>", "<6>"]), (False, ["error: ", "warn: ", "info: "])):
        document = ET.fromstring(rendered(journal=journal).logback)
        patterns = [re.sub(r"^(%replace\()*", "", pattern.text or "") for pattern in document.iter("pattern")]
        assert [pattern[: pattern.index("%")] for pattern in patterns] == expected
        assert all(f"'$1{prefix}'" in pattern for prefix, pattern in zip(expected, patterns, strict=True))
        assert not any("%d" in pattern for pattern in patterns)


def test_the_configurations_jar_has_nothing_else_in_it() -> None:
    """What is on the class path is code, if it is one of Java's classes."""
    with zipfile.ZipFile(io.BytesIO(conf_templates.as_jar("port: 1 # ä\n"))) as jar:
        assert jar.namelist() == [conf_templates.CONF_ENTRY]
        assert jar.read(conf_templates.CONF_ENTRY).decode() == "port: 1 # ä\n"


MAC_TRACE = """\
<3>Unhandled exception
<3>java.lang.NullPointerException: Cannot read the array length because "mac" is null
<3>\tat ibgroup.web.core.clientportal.gw.utils.TstTokenUtils.getMacAddress(TstTokenUtils.java:22)
<3>\tat ibgroup.web.core.clientportal.gw.services.SsoService.getMac(SsoService.java:81)
"""

NETTY_ADDRESS = (
    "<4>Failed to find a usable hardware address from the network interfaces; using random bytes: b3:fa:3c:42:ef:f7\n"
)
NETTY_PROPERTY = (
    "<4>Unable to parse the boolean system property 'java.net.preferIPv6Addresses':system"
    " - using the default value: false\n"
)


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (MAC_TRACE, "<6>No hardware network address on this machine; the login goes on without one\n"),
        ("<3>SSODH init failed …\n", "<6>SSODH init failed: this user has no brokerage session …\n"),
        (MAC_TRACE.replace("TstTokenUtils", "SsoService"), MAC_TRACE.replace("TstTokenUtils", "SsoService")),
        ("<3>Server listen failed\n", "<3>Server listen failed\n"),
        (NETTY_ADDRESS, "<6>No hardware network address on this machine; Netty makes one up\n"),
        (NETTY_PROPERTY, "<6>No route to anywhere yet; Java orders addresses as the system does\n"),
        (NETTY_PROPERTY.replace("IPv6Addresses", "IPv4Stack"), NETTY_PROPERTY.replace("IPv6Addresses", "IPv4Stack")),
    ],
)
def test_what_a_healthy_login_has_the_jar_complain_of_is_information(record: str, shown: str) -> None:
    """And nothing else is; the replacements are those of the appender for its level, the innermost first."""
    document = ET.fromstring(rendered(journal=True).logback)
    level = record[:3]
    pattern = next(pattern.text or "" for pattern in document.iter("pattern") if level in (pattern.text or ""))
    for expression, replacement in re.findall(rf"\{{'(\^{level}[^']*)', '([^']*)'\}}", pattern):
        record = re.sub(expression, replacement.replace("$1", r"\1"), record)
    assert record == shown
