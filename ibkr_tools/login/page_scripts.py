"""The JavaScript that takes snapshots of the login page and acts on it.

Every script is one evaluation, so nothing can redraw between a check and the act that depends on it. The scripts get
selectors from `page_elements`; the last one of an element may be `recognised:` and its name (`recognition.js`). No
script returns what is typed into a field. A password is given to `FILL` alone: what it filled in, a function that it
leaves in the document compares for `SUBMIT_FORM`.
"""

import json
from importlib.resources import files

from ibkr_tools.login.page_vocabulary import PAGE_VOCABULARY
from ibkr_tools.login.redaction import MAX_TEXT_LENGTH

_TEXT = f"const textOf = (element) => ((element && element.innerText) || '').trim().slice(0, {MAX_TEXT_LENGTH});"
"""Far more than is ever shown: a text is redacted before it is cut to that."""


def _library(name: str) -> str:
    return files("ibkr_tools.login").joinpath(name).read_text("utf-8")


_NAMES = "recognise, modes, methods, describe, says, boxesOf, hasNoButton"
_DOM = f"const MAX_TEXT_LENGTH = {MAX_TEXT_LENGTH};\n" + _library("page_dom.js")
_RECOGNITION = f"""
const WORDS = {json.dumps(dict(PAGE_VOCABULARY), ensure_ascii=False)};
const {{{_NAMES}}} = (() => {{
{_library("recognition.js")}
return {{{_NAMES}}};
}})();
"""
_NO_RECOGNITION = "const recognise = () => ({way: '', element: null}), modes = () => null, says = () => false;"
_LOOKUP = r"""
const candidates = (selector) => {
  if (selector.startsWith('recognised:')) return [recognise(selector.slice(11)).element].filter((found) => found);
  if (!selector.startsWith('text:')) return all(selector);
  const pattern = new RegExp(selector.slice(5), 'i');
  return all('button, input[type=submit], [role=button]')
    .filter((element) => pattern.test((element.innerText || element.value || '').trim()));
};
// Of several that can be seen, the one that is recognised; a password is not typed into the first of two fields.
const find = (selectors) => {
  const name = (selectors.at(-1) || '').startsWith('recognised:') ? selectors.at(-1).slice(11) : '';
  for (const selector of selectors) {
    const found = candidates(selector).filter(shown);
    if (found.length === 0) continue;
    if (!name || found.length === 1) return found[0];
    const {element} = recognise(name);
    if (found.includes(element)) return element;
    if (!['username', 'password'].includes(name)) return found[0];
  }
  return null;
};
const isDisabled = (element) => element.matches(':disabled, [aria-disabled=true]');
const isSelected = (element, selectors) =>
  selectors.some((selector) => !selector.startsWith('recognised:') && candidates(selector).includes(element));
const first = (selectors) => selectors.flatMap(all)[0] || null;
// Whether paper is chosen; null without a choice.
const isPaper = (checkboxes) => {
  const checkbox = first(checkboxes), choice = checkbox ? null : modes();
  return checkbox ? checkbox.checked : choice && choice.paper;
};
const entries = () => views().flatMap((view) => view.performance.getEntriesByType('resource'));
const arrived = ({responseStatus: status}) => status === undefined || (status > 0 && status < 400);
const calls = () => entries()
  .filter((entry) => new URL(entry.name).pathname.endsWith('/sso/Authenticator') && entry.responseEnd > 0);
const exchanges = () => calls().filter(arrived).length;
"""
_FIND = _TEXT + _DOM + _RECOGNITION + _LOOKUP

_BEFORE = r"""
const BEFORE = Symbol.for('ibkr-tools.before');
const lines = () => everyText().split('\n').map((line) => line.trim()).filter((line) => line);
"""
"""Where the document keeps what it said right before the submission: what is said only after that is an answer."""


def with_helpers(script: str) -> str:
    """Returns a script that has what these have: `find`, `all`, `shown`, `recognise` and the others."""
    return _FIND + script


_INSPECT = _library("page_inspect.js")
_ARGUMENTS = "\nconst [known, switches, checkboxes] = arguments;\n"

INSPECT = _FIND + _BEFORE + _ARGUMENTS + _INSPECT
"""Arguments: KNOWN, PAPER_SWITCH, PAPER_CHECKBOX. Returns what `page_snapshot.parse_page_snapshot` takes."""

INSPECT_KNOWN = (
    _TEXT
    + _DOM
    + _NO_RECOGNITION
    + _LOOKUP
    + _BEFORE
    + _ARGUMENTS
    + r"""
if (document[BEFORE] || !first(checkboxes)) return null;
if (![known.username, known.password, known.submit].every(find)) return null;
"""
    + _INSPECT
)
"""The same for a form that the selectors find, without what recognises another: null for anything else.

So a snapshot of today's form takes no more time than if nothing could be recognised."""

FIND_INVALID_SELECTORS = r"""
return arguments[0].filter(([, selector]) => {
  try {
    if (selector.startsWith('text:')) new RegExp(selector.slice(5), 'i');
    else document.createDocumentFragment().querySelector(selector);
    return false;
  } catch { return true; }
});
"""
"""Argument: pairs of name and selector. Returns those pairs whose selector the browser does not understand."""

HIDE_CONSENT = r"""
const sheet = new CSSStyleSheet();
sheet.replaceSync(arguments[0].join(', ') + ' { display: none !important; }');
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
if (document.body) document.body.classList.remove('modal-open');
"""
"""Argument: CONSENT. A style rather than a removal: the page mounts the layer again."""

SET_PAPER_SWITCH = (
    _FIND
    + r"""
const [checkboxes, wanted] = arguments;
const checkbox = first(checkboxes), choice = checkbox ? null : modes();
if (checkbox && checkbox.checked !== wanted) checkbox.click();
if (choice && choice.paper !== wanted) choice.set(wanted);
return exchanges();
"""
)
"""Arguments: PAPER_CHECKBOX, the wanted state."""

CLICK = (
    _FIND
    + r"""
const element = find(arguments[0]), isReady = element !== null && !isDisabled(element);
if (isReady) setTimeout(() => element.click(), 0);
return isReady;
"""
)
"""Argument: selectors. Clicks through anything that lies on top; says whether there was something to click."""

_TYPE = r"""
const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
// Input and keys leave shadow roots, as a person's do.
const type = (field, text, isSecret = false) => {
  field.focus();
  // The focus may have changed the field, or put another in its place.
  if (field.readOnly || !field.isConnected || (isSecret && field.type !== 'password')) return false;
  write.call(field, text);
  field.dispatchEvent(new InputEvent('input', {bubbles: true, composed: true, inputType: 'insertText'}));
  field.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true, composed: true, key: 'Tab'}));
  field.dispatchEvent(new Event('change', {bubbles: true}));
  field.blur();
  return field.value === text;
};
"""

_FILLED = "const FILLED = Symbol.for('ibkr-tools.filled');"
"""Where the document keeps the function that says what became of the filled fields; it tells nobody what is in them."""

FILL = (
    _FIND
    + _TYPE
    + _FILLED
    + r"""
const [fields, origin] = arguments;
const originOf = (field) => field.ownerDocument.defaultView.origin;
const foreign = fields.filter(([, , isSecret]) => isSecret).map(([selectors]) => find(selectors))
  .find((field) => field && originOf(field) !== origin);
// Nothing is typed on a page, or in a frame, of another origin.
if (origin && foreign) return originOf(foreign);
const change = () => {
  results.clear();
  for (const [selectors, text, isSecret] of fields) {
    const field = find(selectors);
    if (!field) return 'a field vanished';
    if (field.value !== text) return 'a field was emptied';
    if (isSecret && field.type !== 'password') return 'the field of the password shows it';
  }
  return '';
};
Object.defineProperty(document, FILLED, {value: change, configurable: true});
const fill = ([selectors, text, isSecret]) => {
  results.clear();
  const field = find(selectors);
  // Whatever the selectors are: a password stands in no other field, and is taken back out of one that shows it.
  if (field === null || (isSecret && field.type !== 'password')) return false;
  const isTyped = type(field, text, isSecret);
  if (isSecret && field.type !== 'password') write.call(field, '');
  return isTyped;
};
return fields.every(fill) && change() === '';
"""
)
"""Arguments: selectors, text, and whether it is secret, of each field; the gateway's origin, where anything is secret.
Sets fields directly, so that no key can end in another field. Returns whether they hold it, or the origin of a field
for a secret, if it is another one: then nothing is typed."""

DISABLED_BUTTON = "its button is disabled"
"""What `SUBMIT_FORM` says of a form whose button cannot be pressed yet."""

SUBMIT_FORM = (
    _FIND
    + _FILLED
    + _BEFORE
    + f"const DISABLED = {json.dumps(DISABLED_BUTTON)};"
    + r"""
const [submit, blocking, checkboxes, paper, types, last, really] = arguments;
for (const [name, selectors] of Object.entries(blocking)) if (find(selectors)) return `over the form lies: ${name}`;
if (paper !== null && isPaper(checkboxes) === !paper) return 'the live/paper switch moved back';
const form = find(last) && find(last).form;
const type = paper === null || !form ? null
  : types.map((selector) => form.querySelector(selector)).find((field) => field);
if (type && type.value !== (paper ? '2' : '1')) return 'the form still asks for the other mode';
const change = document[FILLED] ? document[FILLED]() : 'it is another page than the one that was filled in';
if (change) return change;
const button = find(submit);
if (!button && (!form || !hasNoButton(form))) return 'there is no button';
if (button && isDisabled(button)) return DISABLED;
if (really) {
  delete document[FILLED];
  document[BEFORE] = lines();
  setTimeout(() => (button ? button.click() : form.requestSubmit()), 0);
}
return '';
"""
)
"""Arguments: SUBMIT, the elements that block the form, PAPER_CHECKBOX, the wanted state of the switch or null,
LOGIN_TYPE, PASSWORD, and whether to submit really or only to look. Submits the form only if it still is what `FILL`
filled in; returns why not, or an empty text."""

SUBMITTERS = (
    _FIND
    + r"""
const [buttons, fields] = arguments;
const button = find(buttons), field = find(fields);
const nodes = new Set();
for (let node = button || field; node; node = node.parentNode || node.host) nodes.add(node);
if (field && field.form) nodes.add(field.form);
return button || field ? [...nodes, (button || field).ownerDocument.defaultView] : [];
"""
)
"""Arguments: SUBMIT and CONTINUE, PASSWORD and USERNAME. Returns the nodes at which a click on the button arrives."""

EXPLAIN = (
    _FIND
    + r"""
const [table] = arguments;
const explain = ([name, selectors]) => {
  for (const selector of selectors)
    for (const element of candidates(selector).filter(shown)) {
      const isRecognised = selector.startsWith('recognised:');
      return {name, by: isRecognised ? recognise(name).way : selector, element: describe(element)};
    }
  return {name, by: '', element: ''};
};
return Object.entries(table).map(explain);
"""
)
"""Argument: selectors by element. Returns what would be taken for each element, and by what it is found."""

SUBMIT_CODE = (
    _FIND
    + _TYPE
    + r"""
const [fields, submit, loading, text] = arguments;
if (find(loading)) return 'the page is busy';
const field = find(fields);
if (!field) return 'there is no field for the code';
const form = field.form;
const buttons = form ? [...form.querySelectorAll('button[type=submit], input[type=submit]')].filter(shown) : [];
const boxes = boxesOf(field), characters = boxes.length > 1 ? [...text] : [text];
const submitter = find(submit) || buttons[0];
if (!submitter && !form && boxes.length === 1) return 'there is no button';
if (boxes.length > 1 && boxes.length !== characters.length) return 'the code has another length than its fields';
if (!boxes.every((box, index) => type(box, characters[index]))) return 'the field does not take the code';
// Fields that submit themselves when the last one is full have gone, or wait, by the time of the click.
const isWaiting = () =>
  boxes.every((box, index) => box.isConnected && !box.disabled && box.value === characters[index]);
setTimeout(() => {
  if (boxes.length > 1 && !isWaiting()) return;
  results.clear();
  const button = submitter && submitter.isConnected ? submitter : find(submit);
  if (button) button.click();
  else if (form) form.requestSubmit();
}, 0);
return '';
"""
)
"""Arguments: fields, buttons, LOADING, the code. Types it and submits it; returns why not, or an empty text."""

READ_TEXT = (
    _FIND
    + r"""
const element = find(arguments[0]);
return textOf(element);
"""
)
"""Argument: selectors. Returns what the first visible element says; a field says nothing."""

CHOOSE_METHOD = (
    _FIND
    + r"""
const [pickers, patterns, values] = arguments;
const pick = (options) => {
  for (const pattern of patterns)
    for (const option of options) if (new RegExp(pattern, 'i').test(option.text)) return option;
  return options.find((option) => values.includes(option.value));
};
const shownAs = (element) => (element.innerText || element.textContent || '').trim();
const root = find(pickers);
if (!root) return null;
const select = [root, ...root.querySelectorAll('select')]
  .find((element) => element.matches('select') && shown(element));
if (select) {
  const options = [...select.options].filter((option) => option.value)
    .map((option) => ({text: option.text.trim(), value: option.value}));
  const option = pick(options);
  if (!option) return {chosen: '', offered: options.map((option) => option.text)};
  setTimeout(() => {
    select.value = option.value;
    for (const kind of ['input', 'change']) select.dispatchEvent(new Event(kind, {bubbles: true}));
  }, 0);
  return {chosen: option.text, offered: []};
}
// A list of the page's own; an open one may be mounted anywhere.
const options = all('[role=option], .dropdown-item').filter(shown)
  .map((element) =>
    ({text: shownAs(element), value: element.dataset.value || element.getAttribute('value') || '', element}));
const option = pick(options);
if (option) {
  setTimeout(() => option.element.click(), 0);
  return {chosen: option.text, offered: []};
}
const offers = options.length ? [] : methods();
const offer = pick(offers);
if (offer) setTimeout(() => offer.take(), 0);
if (offers.length) return {chosen: offer ? offer.text : '', offered: offer ? [] : offers.map(({text}) => text)};
if (!options.length) {
  const opener = [...root.querySelectorAll('[role=combobox], [aria-haspopup=listbox], .dropdown-toggle')].find(shown);
  if (opener) setTimeout(() => opener.click(), 0);
}
return {chosen: '', offered: options.map((option) => option.text)};
"""
)
"""Arguments: what holds the choice, patterns of labels, IBKR's numbers of methods. Chooses by label first, in any case,
then by number, from a select or from a list of the page's own, which it opens first. Returns what was chosen, if
anything, and else what is offered; null without a choice."""
