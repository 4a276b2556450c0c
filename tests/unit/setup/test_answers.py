"""Answers: what is none is told why, and what is one becomes a configuration that is accepted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.config import example
from ibkr_tools.config.loader import config_problems
from ibkr_tools.errors import UsageError
from ibkr_tools.setup.answers import (
    MAIL_COMMAND,
    NTFY_COMMAND,
    Answers,
    account_problem,
    edited,
    parse_alerts,
    password_problem,
    present_alert_command,
    present_value,
    username_problem,
)

EXAMPLE = {
    "username": example.EXAMPLE_USERNAME,
    "password": example.EXAMPLE_PASSWORD,
    "account": "U1234567",
}


def nothing_missing(_name: str) -> str | None:
    return None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reader", ""),
        ("", "nothing in it"),
        ("x" * 65, "length <= 64"),
        ("read\u200ber", "cannot be seen"),
        (example.EXAMPLE_USERNAME, "still the example's"),
    ],
)
def test_user_names(text: str, words: str) -> None:
    assert words in username_problem(text)
    assert bool(words) == bool(username_problem(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("U7654321", ""),
        ("DUM1234567", ""),
        ("u7654321", "did you mean 'U7654321'?"),
        ("reader", "that is the user name"),
        ("all", "one number"),
        ("", "nothing in it"),
    ],
)
def test_account_numbers(text: str, words: str) -> None:
    assert words in account_problem(text, "reader")
    assert bool(words) == bool(account_problem(text, "reader"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hunter22", ""),
        (" with blanks ", ""),
        ("", "nothing in it"),
        ("   ", "blanks"),
        ("hunter\u200b22", "zero width space"),
        ("one\ntwo", "more than one line"),
        (example.EXAMPLE_PASSWORD, "still the example's"),
    ],
)
def test_passwords(text: str, words: str) -> None:
    """What nobody types is named by its place and kind, and not shown."""
    problem = password_problem(text)
    assert words in problem
    assert bool(words) == bool(problem)
    assert not problem or not text.strip() or text not in problem


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("none", ()),
        (" None ", ()),
        ("https://ntfy.sh/my-topic", (*NTFY_COMMAND, "https://ntfy.sh/my-topic")),
        ("HTTPS://ntfy.sh/t", (*NTFY_COMMAND, "HTTPS://ntfy.sh/t")),
        ("http://ntfy.home:8080/t", (*NTFY_COMMAND, "http://ntfy.home:8080/t")),
        ("https://ntfy.sh/$(reboot)", (*NTFY_COMMAND, "https://ntfy.sh/$(reboot)")),
        ("you@example.org", (*MAIL_COMMAND, "you@example.org")),
        ("root@localhost", (*MAIL_COMMAND, "root@localhost")),
        ('["/bin/sh", "-c", "true"]', ("/bin/sh", "-c", "true")),
    ],
)
def test_ways_to_be_told(text: str, command: tuple[str, ...]) -> None:
    """An address is an argument of its own: no shell reads it."""
    assert parse_alerts(text, nothing_missing) == command


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither none"),
        ("mail", "neither none"),
        ("https://user:hunter2@ntfy.sh/x", "neither none"),
        ("you@", "neither none"),
        ("[1]", "list of texts"),
        ("[]", "list of texts"),
        ('["/bin/sh"', "list of texts"),
        ('["/bin/sh", "\\u0000"]', "NUL"),
        ('["/bin/sh", "\\udcff"]', "half"),
        ("https://ntfy.sh", "neither none"),
        ("https://ntfy.sh/", "neither none"),
        ("https://ntfy.sh/\x1b[31m", "neither none"),
        ("https://ntfy.sh/\udcff", "neither none"),
        ('["/nowhere/tell-me"]', "not there"),
    ],
)
def test_what_is_no_way_to_be_told(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_alerts(text, nothing_missing)
    assert "hunter2" not in str(caught.value)


def test_programs_that_are_missing_are_named() -> None:
    with pytest.raises(UsageError, match="apt install jq curl"):
        parse_alerts("https://ntfy.sh/x", lambda name: f"{name}: no program of that name on PATH")


def test_a_first_configuration_is_small() -> None:
    answers = Answers(username="reader", account="U7654321", alert_command=())
    assert list(edited({}, answers).items()) == [("username", "reader"), ("account", "U7654321")]
    assert list(edited(EXAMPLE, answers).items()) == [("username", "reader"), ("account", "U7654321")]


KEYS = st.dictionaries(
    st.sampled_from(["gateway", "session", "login", "fetch", "alerts", "$schema", "username", "account", "password"]),
    st.just("x"),
)


@given(KEYS, st.sampled_from([None, (), ("/bin/true",)]))
def test_what_was_not_asked_stays_as_it_is(names: dict[str, str], command: tuple[str, ...] | None) -> None:
    """Its order too; the password has another place."""
    sections: dict[str, Any] = {
        "gateway": {"heap_mb": 96},
        "session": {"paper": True},
        "login": {"timeout_s": 60},
        "fetch": {"keep_days": 3},
        "alerts": {"outage_min": 5},
    }
    document = {name: sections.get(name, "x") for name in names}
    after = edited(document, Answers(username="reader", account="U7654321", alert_command=command))
    assert [name for name in after if name in document] == [name for name in document if name != "password"]
    assert {**after, "alerts": None} == {
        **{name: value for name, value in document.items() if name != "password"},
        "username": "reader",
        "account": "U7654321",
        "alerts": None,
    }
    assert after.get("alerts", {}).get("outage_min") == document.get("alerts", {}).get("outage_min")
    assert present_alert_command(after) == (command or ())
    assert list(config_problems({**after, **({"$schema": "x"} if "$schema" in after else {})})) == []
    json.dumps(after)


def test_an_alert_command_that_stays_is_not_touched() -> None:
    document = {"alerts": {"command": ["/bin/true", "x"], "timeout_s": 3}}
    for command in (None, ("/bin/true", "x")):
        after = edited(document, Answers(username="reader", account="U7654321", alert_command=command))
        assert after["alerts"] == document["alerts"]
    assert edited(document, Answers(username="reader", account="U7654321", alert_command=()))["alerts"] == {
        "command": [],
        "timeout_s": 3,
    }


@pytest.mark.parametrize(
    ("document", "name", "account"),
    [
        ({}, None, None),
        (EXAMPLE, None, None),
        ({**EXAMPLE, "account": "U7654321"}, None, None),
        ({"username": "reader", "account": "U7654321"}, "reader", "U7654321"),
        ({"username": "reader", "account": "alias"}, "reader", None),
        ({"username": 3, "account": None}, None, None),
    ],
)
def test_what_is_offered(document: dict[str, Any], name: str | None, account: str | None) -> None:
    """What is there and can be; nothing of the example's, whose account is a possible one."""
    assert (present_value(document, "username"), present_value(document, "account")) == (name, account)
