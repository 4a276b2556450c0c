"""A push is announced to the person, and whatever happens then, the phone rings once."""

import json
import threading
from pathlib import Path

import pytest

from ibkr_tools import alert_outbox
from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ActionRequired
from ibkr_tools.login import push_notice
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.push_notice import PushNotice
from ibkr_tools.status import LoginSection, StatusFile, utc_now
from tests.support.logins import Page
from tests.support.simulation import wait_until


class Died(BaseException):
    """The login process was killed, or something else that nobody catches."""


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    for name in ("run", "state"):
        (tmp_path / name).mkdir()
    return Directories(configuration=tmp_path, runtime=tmp_path / "run", state=tmp_path / "state")


def configured(directories: Directories, method: str, *, command: tuple[str, ...] = ()) -> Config:
    file = directories.config_file
    file.touch(mode=0o600)
    second = {"method": method, "command": ["/bin/true"]}
    content = {"username": "demo-reader", "account": "U1234567", "password": "demo-password"}
    more = {"login": {"second_factor": second}, "alerts": {"command": command}}
    file.write_text(json.dumps({**content, **more}))
    return load_config(file)


def waiting(directories: Directories) -> list[alert_outbox.AlertMessage]:
    found = [alert_outbox.read(path) for path in alert_outbox.pending(directories.outbox)]
    return [message for message in found if message is not None]


def test_person_is_asked_once_and_told_when_it_is_over(directories: Directories) -> None:
    """Without a command that delivers nobody is waited for; the end is told however it comes."""
    notice = PushNotice(configured(directories, "push"), directories, utc_now)
    assert notice.is_needed
    notice.send()
    notice.send()
    with pytest.raises(Died), notice.withdrawn_after():
        raise Died
    asked, over = waiting(directories)
    assert (asked.topic, asked.over, asked.todo) == ("approval", False, "Approve the request in IBKR's app.")
    assert "180 s" in asked.next
    assert (over.topic, over.over, over.todo) == ("approval", True, None)


def test_nobody_is_told_of_an_end_without_a_beginning(directories: Directories) -> None:
    """The second message follows the first one alone; methods without a push send none."""
    with PushNotice(configured(directories, "push"), directories, utc_now).withdrawn_after():
        pass
    assert not PushNotice(configured(directories, "command"), directories, utc_now).is_needed
    assert waiting(directories) == []


def test_push_waits_until_the_message_is_delivered(directories: Directories) -> None:
    """The login goes on when the outbox is empty, and not before."""
    config = configured(directories, "push", command=("/bin/true",))
    notice = PushNotice(config, directories, utc_now)
    thread = threading.Thread(target=notice.send)
    thread.start()
    wait_until(lambda: len(waiting(directories)) == 1)
    assert thread.is_alive()
    for path in alert_outbox.pending(directories.outbox):
        path.unlink()
    thread.join(5)
    assert not thread.is_alive()


def test_push_does_not_wait_for_ever(directories: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that nobody delivers delays the login by `DELIVERY_TIMEOUT_S` at most."""
    monkeypatch.setattr(push_notice, "DELIVERY_TIMEOUT_S", 0.2)
    PushNotice(configured(directories, "push", command=("/bin/true",)), directories, utc_now).send()
    assert len(waiting(directories)) == 1


def test_outbox_that_cannot_be_written_is_no_reason_not_to_log_in(directories: Directories) -> None:
    """A push that comes unannounced is better than no session."""
    directories.outbox.write_text("in the way")
    notice = PushNotice(configured(directories, "push"), directories, utc_now)
    with notice.withdrawn_after():
        notice.send()


@pytest.mark.parametrize("method", ["push", "command"])
def test_crash_while_the_phone_rings_is_not_followed_by_another_ring(directories: Directories, method: str) -> None:
    """What is on disk before the password goes out holds every machine back, across restarts; other methods go on."""
    config = configured(directories, method)
    page = Page(Outcome.SUCCEEDED, dies=Died())
    with pytest.raises(Died):
        page.log_in(config, directories, unattended=True)
    budget = LoginLog(directories.login).budget(utc_now())
    assert budget.person is (method == "push")
    if method == "push":
        for _ in range(3):
            with pytest.raises(ActionRequired, match="no machine"):
                page.log_in(config, directories, unattended=True)
        section = StatusFile(directories.status_file).read_section(LoginSection)
        assert section is not None
        assert (section.state, section.retry_at) == ("action-required", None)
    assert page.submitted == 1
    assert [message.over for message in waiting(directories)][:1] == ([False] if method == "push" else [])


def test_person_who_logs_in_lets_machines_go_on(directories: Directories) -> None:
    """A missed approval holds machines back until a login by hand has succeeded."""
    config = configured(directories, "push")
    approved = Page(Outcome.SUCCEEDED)
    with pytest.raises(ActionRequired, match="nobody approved"):
        Page(Outcome.PUSH_MISSED).log_in(config, directories, unattended=True)
    with pytest.raises(ActionRequired, match="no machine"):
        approved.log_in(config, directories, unattended=True)
    approved.log_in(config, directories, unattended=False)
    approved.log_in(config, directories, unattended=True)
    assert LoginLog(directories.login).budget(utc_now()).person is False
