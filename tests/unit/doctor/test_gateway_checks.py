"""The gateway's certificate, its port, and the packet filter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.gateway_checks import PortFacts, TlsFacts, judge_port, judge_tls, read_tls
from ibkr_tools.gateway import tls

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOOD = TlsFacts(expires=NOW + timedelta(days=3000), is_there=True, is_pair=True, is_served=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"is_pair": None, "is_served": None}, None),
        ({"expires": NOW}, "has expired"),
        ({"expires": NOW - timedelta(days=1)}, "has expired"),
        ({"expires": NOW + timedelta(days=29)}, "expires on"),
        ({"expires": None}, "cannot be read"),
        ({"expires": None, "is_there": False}, "no certificate"),
        ({"is_pair": False}, "key store"),
        ({"has_pin": False}, "pin"),
        ({"is_served": False}, "another certificate"),
    ],
)
def test_what_is_wrong_with_the_certificate(changes: dict[str, object], says: str | None) -> None:
    facts = replace(GOOD, **changes)  # type: ignore[arg-type]
    (found,) = judge_tls(facts, NOW, certificate=Path("/x/gateway.pem"), is_installed=True)
    assert found.verdict is (CheckVerdict.OK if says is None else CheckVerdict.FAULT)
    assert (says or "") in found.message_text()
    assert (found.remedy_text() is None) is (says is None)


def test_where_nothing_is_installed_the_first_start_makes_one() -> None:
    facts = TlsFacts(expires=None, is_there=False)
    (found,) = judge_tls(facts, NOW, certificate=Path("/home/alice/x.pem"), is_installed=False)
    assert found.verdict is CheckVerdict.OK


def test_a_persons_path_is_not_published() -> None:
    certificate = Path("/home/alice/state/gateway.pem")
    (found,) = judge_tls(replace(GOOD, has_pin=False), NOW, certificate=certificate, is_installed=False)
    assert "alice" in str(found.remedy_text())
    assert "alice" not in str(found.remedy_text(is_public=True))


def test_key_store_and_pin_are_those_of_the_certificate(tmp_path: Path) -> None:
    public, private = tmp_path / "tls", tmp_path / "private"
    tls.make_material(public, private)
    certificate = public / tls.CERTIFICATE_FILE
    good = read_tls(certificate, private, None)
    assert (good.is_pair, good.has_pin, good.is_served) == (True, True, None)
    (public / tls.SPKI_FILE).write_text("x")
    (private / tls.KEYSTORE_PASSWORD_FILE).write_text("x")
    bad = read_tls(certificate, private, None)
    assert (bad.is_pair, bad.has_pin) == (False, False)
    (private / tls.KEYSTORE_FILE).unlink()
    assert read_tls(certificate, private, None).is_pair is False
    certificate.write_text("x")
    assert read_tls(certificate, private, None) == TlsFacts(expires=None, is_there=True)


@pytest.mark.parametrize(
    ("facts", "verdict", "remedy"),
    [
        (PortFacts(port=5000), CheckVerdict.OK, None),
        (PortFacts(port=5000, uids=(990,), told_port=5000), CheckVerdict.OK, None),
        (
            PortFacts(port=5000, uids=(33,), owner="nginx", unit="nginx.service"),
            CheckVerdict.FAULT,
            "sudo systemctl stop nginx.service",
        ),
        (
            PortFacts(port=5000, uids=(33,), owner="nginx", unit="nginx\\x2dtest.service"),
            CheckVerdict.FAULT,
            "sudo systemctl stop 'nginx\\x2dtest.service'",
        ),
        (PortFacts(port=5000, uids=(33,), owner="x", pid=7), CheckVerdict.FAULT, "sudo kill 7"),
        (PortFacts(port=5000, uids=(33, 990), owner="a program"), CheckVerdict.FAULT, "sudo ss -ltnp"),
        (PortFacts(port=5001, told_port=5000), CheckVerdict.FAULT, "sudo systemctl try-restart ibkr-gateway"),
    ],
)
def test_who_has_the_port(facts: PortFacts, verdict: CheckVerdict, remedy: str | None) -> None:
    (found,) = judge_port(facts, 990)
    assert (found.verdict, found.remedy_text()) == (verdict, remedy)
    assert "nginx" not in found.message_text(is_public=True)
