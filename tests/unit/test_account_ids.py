"""Account numbers and aliases: as wide as IBKR's world, and a slip is told together with what was meant."""

import re
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ibkr_tools import account_ids
from ibkr_tools.config.loader import config_problems
from ibkr_tools.config.schema import json_schema
from ibkr_tools.errors import UsageError
from ibkr_tools.simulator import account_numbers

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
NUMBERS = [
    "U1234567", "U12345678", "DU1234567", "DUM1234567", "F1234567", "DF1234567", "DFO123456", "F1234567A", "U1234567C",
    "I1234567", "DI1234567", "U123", "ABCD1234", "U1234567-1", "U1234567_X", "O1234567",
]  # fmt: skip


def document(account: object, *others: str) -> dict[str, Any]:
    return {"username": "reader1", "account": account, "fetch": {"accounts": list(others)}}


def said(account: str) -> str:
    """Returns what the loader says of an account, and sees that an editor says the same."""
    found = list(config_problems(document(account)))
    assert bool(found) is not VALIDATOR.is_valid(document(account))
    return "\n".join(found)


@pytest.mark.parametrize("number", NUMBERS)
def test_whatever_ibkr_calls_an_account_is_taken(number: str) -> None:
    assert said(number) == ""
    assert account_ids.is_number(number)
    assert not list(config_problems(document("U1234567", number)))
    assert account_ids.require_number(number, "--account") == account_ids.require_name(number, "--account") == number


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("u1234567", "U1234567"),
        ("du1234567", "DU1234567"),
        ("dfo123456", "DFO123456"),
        ("f1234567a", "F1234567A"),
        (" U1234567", "U1234567"),
        ("U1234567 ", "U1234567"),
        ("U1234567\n", "U1234567"),
        ("\tU1234567\r\n", "U1234567"),
        ("U1234567\xa0", "U1234567"),
        ("U123 4567", "U1234567"),
        ("U12345O7", "U1234507"),
        ("U123456I", "U1234561"),
        ("UO234567", "U0234567"),
        ("u12345o7", "U1234507"),
        ("U12345l7", "U1234517"),
        ("1234567", "U1234567"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(typed: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in said(typed)
    assert f"did you mean '{meant}'?" in "\n".join(config_problems(document("U1234567", typed)))
    for require in (account_ids.require_name, account_ids.require_number):
        with pytest.raises(UsageError, match=re.escape(f"--account {typed!r}")) as caught:
            require(typed, "--account")
        assert meant in str(caught.value.hint)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "there is nothing in it"),
        ("   ", "there is nothing in it"),
        ("U1234567/..", "'/' cannot be in it"),
        ("..", "'..' cannot be in it"),
        ("a\\b", "cannot be in it"),
        ("U123\x004567", "character 5 cannot be seen (U+0000)"),
        ("\ufeffU1234567", "character 1 cannot be seen (U+FEFF)"),
        ("U1234\u200b567", "(U+200B)"),
        ("U1234567\u202e", "(U+202E)"),
        ("x\x1b[31m", "(U+001B)"),
    ],
)
def test_what_could_be_a_path_or_is_unseen_is_neither_number_nor_alias(typed: str, why: str) -> None:
    assert why in said(typed)
    assert why in "\n".join(config_problems(document("U1234567", typed)))


@pytest.mark.parametrize("typed", ["All", "all", "ALL", " All "])
def test_all_is_told_how_all_are_had(typed: str) -> None:
    assert "leave fetch.accounts empty for all" in said(typed)
    assert "fetch.accounts: []" in "\n".join(config_problems(document("U1234567", typed)))


@pytest.mark.parametrize("alias", ["My IRA", "Depot Zürich", "joint (2)", "demo1234", "子供", "Family & Co.", "x"])
def test_an_alias_is_for_the_fetch_and_not_for_the_account(alias: str) -> None:
    assert "an alias or a user name is none" in said(alias)
    assert not list(config_problems(document("U1234567", alias)))
    assert VALIDATOR.is_valid(document("U1234567", alias))
    assert account_ids.require_name(alias, "--account") == alias


@pytest.mark.parametrize("typed", ["reader1", "Reader1", "reader1 "])
def test_the_user_name_in_its_place_is_told(typed: str) -> None:
    assert "that is the user name" in said(typed)


TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from("UDFOIul01234567890 ./\\-_\t\u200b\xa0"), max_size=12),
    st.from_regex(r"[A-Za-z]{0,4}[0-9OIlo ]{1,9}[A-Za-z]?\n?", fullmatch=True),
    st.sampled_from(NUMBERS),
)


@given(TEXTS)
def test_loader_and_editor_agree_on_any_text(text: str) -> None:
    """And whatever is taken can be part of a path, and whatever is not is explained."""
    text.encode(errors="replace")
    for doc, is_taken in (
        (document(text), account_ids.is_number(text)),
        (document("U1234567", text), account_ids.is_name(text)),
    ):
        assert VALIDATOR.is_valid(doc) is is_taken
        assert bool(list(config_problems(doc))) is not is_taken
    if account_ids.is_number(text):
        assert re.fullmatch(r"[A-Z0-9_\-]+", text)
        assert account_ids.is_name(text)
    else:
        assert account_ids.explain_number(text)
    if account_ids.is_name(text):
        assert not set("/\\\n\0") & set(text)
        assert text.strip()
        assert ".." not in text
    else:
        assert account_ids.explain_name(text)


@given(TEXTS)
@example("0\xa00\r")
def test_what_was_meant_is_a_number(text: str) -> None:
    """Or the text without the blanks around it, shown as Python writes it."""
    if match := re.search(r"did you mean '(.*)'\?", account_ids.explain_number(text)):
        assert account_ids.is_number(match[1]) or match[1] == repr(text.strip())[1:-1]


@pytest.mark.timing
def test_no_text_keeps_the_patterns_busy() -> None:
    begin_s = time.process_time()
    for text in ("U" * 100_000, "1" * 100_000, "U1" * 50_000 + "/", " " * 100_000, "O1" * 50_000):
        account_ids.is_number(text)
        account_ids.is_name(text)
        account_ids.explain_number(text)
    assert time.process_time() - begin_s < 5


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_found_within_other_text(number: str) -> None:
    assert account_ids.NUMBER_IN_TEXT.sub("…", f"the session is there: {number}, of HTTP 200") == (
        "the session is there: …, of HTTP 200"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("U1234567", "U1234568"), ("F1234567A", "F1234568A"), ("U1-09", "U1-10"), ("DUM0099", "DUM0100")],
)
def test_simulator_counts_up_whatever_the_shape(first: str, second: str) -> None:
    assert account_numbers(first, 2) == (first, second)


@pytest.mark.parametrize(
    ("names", "typed"),
    [
        ({"account": "u1234567"}, "account 'u1234567'"),
        ({"account": "All", "page": "0"}, "account 'All'"),
        ({"acctIds": "U1234567,u1234568"}, "acctIds 'u1234568'"),
        ({"acctIds": "U1234567, U1234568"}, "acctIds ' U1234568'"),
    ],
)
def test_accounts_of_a_raw_path_are_numbers(names: dict[str, str], typed: str) -> None:
    with pytest.raises(UsageError, match=re.escape(typed)):
        account_ids.require_numbers(names)
    account_ids.require_numbers({"account": "U1234567", "acctIds": "U1234567,F1234567A", "page": "All"})
    account_ids.require_numbers({})
