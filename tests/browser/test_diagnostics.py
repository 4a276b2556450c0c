"""What a failed login leaves behind holds neither user name nor password, wherever the page has them."""

import html
import stat
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from ibkr_tools.login.diagnostics import save_diagnostics
from ibkr_tools.login.redaction import Redactor, one_line, unredacted
from tests.browser.conftest import Home
from tests.browser.shared_chromium import SharedChromium
from tests.support.page_questions import LOADED, ask_page, wait_for_answer
from tests.support.spellings import SPELLINGS

pytestmark = pytest.mark.browser

NAME = "Demo-Reader"
PASSWORD = "p<ss & \"word'$"

ODD_PLACES = r"""
const [name, password] = arguments;
const add = (tag, attributes = {}, text = '') => {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  document.body.append(element);
  return element;
};
document.title = name;
location.hash = encodeURIComponent(password);
document.body.replaceChildren();
add('p', {title: password, 'data-user': name, class: name}, 'Welcome, ' + name.toUpperCase() + '!');
add('input', {placeholder: name, value: password}).value = password + name;
add('input', {type: 'submit', value: 'Go on as ' + name});
add('input', {type: 'hidden', value: password});
add('input', {type: 'checkbox', value: name, 'aria-label': name});
add('textarea', {}, password).value = name;
add('select').append(new Option(name, password), new Option('x', name));
add('div', {contenteditable: ''}, password);
add('img', {alt: name, src: 'data:,' + name});
add('a', {href: '/x?user=' + encodeURIComponent(name) + '#' + password}, encodeURIComponent(password));
add('script', {type: 'text/json'}, JSON.stringify({name, password}));
add('style', {}, 'b.before::before { content: "' + name + '" } i::before { content: attr(data-user) }');
add('b', {class: 'before'}, ' said the style');
add('i', {'data-user': name});
add('template').innerHTML = name;
document.body.append(new Comment(name + password));
add('p').append(name.slice(0, 4), name.slice(4));
const split = add('p', {id: 'split'}, 'Hello ');
const piece = (text) => Object.assign(document.createElement('u'), {textContent: text});
split.append(piece(name.slice(0, 2)), piece(name.slice(2)));
const outer = add('div', {id: 'shadow'}).attachShadow({mode: 'open'});
outer.innerHTML = '<p></p><input><div></div>';
outer.querySelector('p').textContent = name;
outer.querySelector('input').value = password;
const inner = outer.querySelector('div').attachShadow({mode: 'open'});
inner.innerHTML = '<p title="x"></p>';
inner.querySelector('p').textContent = password;
inner.querySelector('p').title = name;
add('iframe', {srcdoc: name});
const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
svg.append(Object.assign(document.createElementNS('http://www.w3.org/2000/svg', 'text'), {textContent: password}));
document.body.append(svg);
document.head.append(Object.assign(document.createElement('style'), {id: 'sheet'}));
const sheet = document.querySelector('#sheet').sheet;
sheet.insertRule('#drawn::after { content: "' + CSS.escape(name) + ' said the sheet" }');
add('p', {id: 'drawn'});
class Closed extends HTMLElement {
  connectedCallback() { this.attachShadow({mode: 'closed'}).textContent = name; }
}
customElements.define('x-closed', Closed);
add('x-closed', {id: 'closed'});
add('p', {}, password.split('').join('\u00ad'));
add('p', {}, [...password].map((one) => '&#' + one.codePointAt(0) + ';').join(''));
add('p', {id: 'kept'}, 'Something that nobody has seen before');
"""

SEEN = r"""
const seen = [];
const walk = (root) => {
  for (const element of root.querySelectorAll('*')) {
    if (['SCRIPT', 'TEMPLATE'].includes(element.tagName)) continue;
    for (const {value} of element.attributes) seen.push(value);
    seen.push(element.textContent, String(element.value || ''), getComputedStyle(element, '::before').content);
    if (getComputedStyle(element).visibility !== 'hidden') seen.push(getComputedStyle(element, '::after').content);
    if (element.id === 'closed' && getComputedStyle(element).visibility !== 'hidden') seen.push('a closed tree');
    if (element.tagName === 'IFRAME' && getComputedStyle(element).visibility !== 'hidden') seen.push('a frame');
    if (element.shadowRoot) walk(element.shadowRoot);
  }
};
walk(document);
return seen.join('\n');
"""


def test_unknown_page_with_secrets_in_odd_places(home: Home, shared_chromium: SharedChromium) -> None:
    """Neither the picture's page nor the document has them: in fields, attributes, styles, shadow trees, pieces."""
    directory = home.directories.login / "diagnostics"
    home.control.page(blank=True)
    redactor = Redactor([NAME.lower(), PASSWORD])
    with shared_chromium.lend(redactor) as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, LOADED)
        # A script that runs into its time limit has done its work all the same, before the next one.
        ask_page(browser, ODD_PLACES, NAME, PASSWORD)
        before = unredacted(wait_for_answer(browser, SEEN))
        picture = save_diagnostics(
            browser,
            directory,
            name="unknown-page",
            now=datetime(2026, 11, 22, tzinfo=UTC),
        )
        shown = unredacted(wait_for_answer(browser, SEEN)).lower()
    assert NAME in before
    assert PASSWORD in before
    assert "a frame" in before
    assert picture is not None
    document = picture.with_suffix(".html").read_text()
    for text in (shown, document.lower()):
        assert "something that nobody has seen before" in text
        assert "a frame" not in text
        assert "said the sheet" not in text
        assert "a closed tree" not in text
        for secret in (NAME, PASSWORD):
            for form in (secret, html.escape(secret), html.escape(secret, quote=False), quote(secret, safe="")):
                assert form.lower() not in text
    assert "<script" not in document
    assert "<!--" not in document
    for path in (picture, picture.with_suffix(".html")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


DRAWS_ANEW = r"""
const [name] = arguments;
document.body.textContent = name;
new MutationObserver(() => { if (document.body.textContent !== name) document.body.textContent = name; })
  .observe(document.body, {childList: true, characterData: true, subtree: true});
"""


def test_page_that_writes_a_secret_anew_leaves_no_picture(home: Home, shared_chromium: SharedChromium) -> None:
    """It would be in it; the document was covered before."""
    directory = home.directories.login / "diagnostics"
    home.control.page(blank=True)
    redactor = Redactor([NAME])
    with shared_chromium.lend(redactor) as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, LOADED)
        browser.run(DRAWS_ANEW, NAME)
        assert save_diagnostics(browser, directory, name="x", now=datetime(2026, 11, 22, tzinfo=UTC)) is None
    (document,) = directory.iterdir()
    assert document.suffix == ".html"
    assert NAME not in document.read_text()


def test_page_covers_what_we_cover(home: Home, shared_chromium: SharedChromium) -> None:
    """The patterns mean the same in Chromium as in Python, for every spelling."""
    secrets = ["p'w\\x  d\"<&%ü+Ä", "🔑密码Grüße", "correct horse", "a\\", "??", "Straße\\"]
    texts = [f"x {spell(secret)} y" for secret in secrets for spell in SPELLINGS.values()] + ["nothing here a b c"]
    script = "return arguments[1].map((text) => text.replace(new RegExp(arguments[0].join('|'), 'gi'), '…'));"
    with shared_chromium.lend() as browser:
        found = browser.run(script, Redactor(secrets).patterns_for_scripts(), texts)
    redactor = Redactor(secrets)
    assert [unredacted(one) for one in found] == [one_line(redactor(text)) for text in texts]
    assert sum("…" in one for one in found) > len(texts) * 0.9


CURIOUS = """<!DOCTYPE html><title>x</title><p>Demo-Reader</p><script>
window.seen = [];
const OldRegExp = RegExp, oldJoin = Array.prototype.join, oldReplace = String.prototype.replace;
const note = (given) => window.seen.push(String(given));
window.RegExp = function (...given) { note(given); return new OldRegExp(...given); };
Array.prototype.join = function (...given) { note([...this]); return oldJoin.apply(this, given); };
String.prototype.replace = function (...given) { note(given); return oldReplace.apply(this, given); };
</script>"""


def test_page_learns_nothing_from_the_redaction(home: Home, shared_chromium: SharedChromium) -> None:
    """What must not be seen is told to a script that the page's own scripts cannot see, whatever they replace."""
    home.control.page(document=CURIOUS)
    with shared_chromium.lend(Redactor([NAME, PASSWORD])) as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, "return window.seen !== undefined")
        directory = home.directories.login / "diagnostics"
        assert save_diagnostics(browser, directory, name="curious", now=datetime.now(UTC)) is not None
        (document,) = directory.glob("*.html")
        assert NAME not in document.read_text()
        assert browser.run("return window.seen") == []
