"""The report of a login page that IBKR has changed: what makes a shape, and what of a page is never in it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.login.page_report import render_report, shape_of

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def node(tag: str = "div", *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    parts = [["", list(children)]]
    empty: dict[str, Any] = {"plain": {}, "names": {}, "words": {}, "says": [], "letters": 0, "shown": True}
    return {"tag": tag, **empty, "parts": parts, **more}


def page(tree: dict[str, Any] | None = None, data: list[str] | None = None, **row: Any) -> dict[str, Any]:
    found = {"name": "username", "by": "role", "element": '<input> "Benutzername"', "place": ["input", "form"]}
    rows = [{**found, "plain": {"type": "text"}, **row}]
    return {"rows": rows, "tree": tree or node("body"), "data": data or [], "isCut": False}


def test_report_says_what_was_found_and_how_the_page_is_built() -> None:
    field = node(
        "input", plain={"type": "text"}, names={"class": "auth-field-name"}, words={"placeholder": ["username"]}
    )
    tree = node("body", node("form", field, says=["submit"], letters=7, shown=False))
    text = render_report(page(tree), now=NOW)
    assert 'username: <input> "Benutzername" (by role)' in text
    assert "    form; 7 letters: submit; not visible" in text
    assert '      input type=text class="auth-field-name" placeholder=(username)' in text


def test_shape_is_of_the_form_and_not_of_what_it_says() -> None:
    """Language and surroundings change nothing; the way, the place and the kind of an element do."""
    shape = shape_of(page())
    assert shape_of(page(node("body", node("aside")), element='<input> "Usuario"')) == shape
    others = [page(by="structure"), page(place=["input", "div"]), page(plain={"type": "email"}), page(name="code")]
    assert len({shape, *(shape_of(other) for other in others)}) == 5


@pytest.mark.parametrize(
    "secret",
    ["U1234567", "482913", "12-34-56", "a0f3c9d2e1", "kQ9vTz3LmP", "QWxhZGRpbjpvcGVu", "x" * 40, "U1234567-foo"],
)
def test_what_may_be_a_number_a_code_or_a_token_is_masked(secret: str) -> None:
    """In a name, a tag, an attribute and a label. (Of a tag the browser gives no capital letters.)"""
    tag = f"x-{secret}" if secret.lower() == secret else "div"
    tree = node(tag, names={"id": secret, "class": f"btn {secret}"}, plain={"role": secret})
    text = render_report(page(tree, element=f'<input> "Konto {secret}"'), now=NOW)
    assert secret.casefold() not in text.casefold()
    assert "btn" in text
    assert "Konto" in text


@pytest.mark.parametrize("name", ["xyz-field-username", "col-md-6", "loginFormWrapper", "btn_primary", "step2"])
def test_name_that_somebody_wrote_is_kept(name: str) -> None:
    assert f'"{name}"' in render_report(page(node(names={"class": name})), now=NOW)


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=20))
def test_what_the_page_keeps_is_in_no_name(word: str) -> None:
    """However harmless it looks: a cookie, a hidden field, a part of an address."""
    tree = node(f"y-{word}", names={"id": f"a-{word}", "class": word.upper()})
    text = render_report(page(tree, data=[word], element=f'<input> "{word}"'), now=NOW)
    body = text.split("\n", 1)[1].replace("username", "").replace("selector", "")
    assert word not in body.split("The page;")[1].split("\n", 1)[1].casefold()
    assert f'"{word}"' not in body


def test_selector_of_the_user_is_not_told() -> None:
    assert "my-own" not in render_report(page(by="#my-own"), now=NOW)
    assert "#xyz-field-username" in render_report(page(by="#xyz-field-username"), now=NOW)
