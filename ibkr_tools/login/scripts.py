"""The JavaScript that looks at and acts on the login page.

Every script is one evaluation, so nothing can redraw between a check and the act that depends on it. They get
selectors from `page`; none of them returns what is typed into a field.
"""

_FIND = r"""
const shown = (element) => {
  if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) return false;
  const box = element.getBoundingClientRect();
  return box.width > 1 && box.height > 1 && box.right + scrollX > 0 && box.bottom + scrollY > 0;
};
const candidates = (selector) => {
  if (!selector.startsWith('text:')) return [...document.querySelectorAll(selector)];
  const pattern = new RegExp(selector.slice(5), 'i');
  return [...document.querySelectorAll('button, input[type=submit], [role=button]')]
    .filter((element) => pattern.test((element.innerText || element.value || '').trim()));
};
const find = (selectors) => {
  for (const selector of selectors)
    for (const element of candidates(selector)) if (shown(element)) return element;
  return null;
};
const first = (selectors) => selectors.map((one) => document.querySelector(one)).find((one) => one) || null;
const exchanges = () => performance.getEntriesByType('resource')
  .filter((entry) => new URL(entry.name).pathname.endsWith('/sso/Authenticator') && entry.responseEnd > 0).length;
"""

LOOK = (
    _FIND
    + r"""
const [known, switches, checkboxes] = arguments;
const visible = {};
for (const [name, selectors] of Object.entries(known)) {
  const element = find(selectors);
  if (element) visible[name] = (element.innerText || '').trim().slice(0, 500);
}
const checkbox = first(checkboxes);
return {
  url: location.href,
  complete: document.readyState === 'complete',
  text: ((document.body && document.body.innerText) || '').trim().slice(0, 200),
  visible: visible,
  inputs: [...document.querySelectorAll('input, button, select')].filter(shown).length,
  paper: checkbox && find(switches) ? checkbox.checked : null,
  exchanges: exchanges(),
  document: performance.timeOrigin,
};
"""
)
"""Arguments: KNOWN, PAPER_SWITCH, PAPER_CHECKBOX. Returns what `page.parse_facts` takes."""

HIDE = r"""
const sheet = new CSSStyleSheet();
sheet.replaceSync(arguments[0].join(', ') + ' { display: none !important; }');
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
if (document.body) document.body.classList.remove('modal-open');
"""
"""Argument: CONSENT. A style rather than a removal: the page mounts the layer again."""

SWITCH = (
    _FIND
    + r"""
const [checkboxes, wanted] = arguments;
const checkbox = first(checkboxes);
if (checkbox && checkbox.checked !== wanted) checkbox.click();
return exchanges();
"""
)
"""Arguments: PAPER_CHECKBOX, the wanted state."""

CLICK = (
    _FIND
    + r"""
const element = find(arguments[0]);
if (element) setTimeout(() => element.click(), 0);
return element !== null;
"""
)
"""Argument: selectors. Clicks through anything that lies on top; says whether there was something to click."""

FILL = (
    _FIND
    + r"""
const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
const type = (selectors, text) => {
  const field = find(selectors);
  if (!field) return false;
  field.focus();
  write.call(field, text);
  field.dispatchEvent(new InputEvent('input', {bubbles: true, inputType: 'insertText'}));
  field.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true, key: 'Tab'}));
  field.dispatchEvent(new Event('change', {bubbles: true}));
  field.blur();
  return field.value === text;
};
const wrong = arguments[0].filter(([selectors, text]) => !type(selectors, text)).length;
return wrong === 0;
"""
)
"""Argument: pairs of selectors and text. Sets fields directly, so that no key can end in another field."""

PRESS = (
    _FIND
    + r"""
const [fields, submit, loading, consent, checkboxes, paper, last, really] = arguments;
if (find(loading)) return 'the page is busy';
if (find(consent)) return 'a layer lies over the form';
const checkbox = first(checkboxes);
if (paper !== null && checkbox && checkbox.checked !== paper) return 'the live/paper switch moved back';
for (const [selectors, text] of fields) {
  const field = find(selectors);
  if (!field) return 'a field vanished';
  if (field.value !== text) return 'a field was emptied';
}
const button = find(submit);
const form = find(last) && find(last).form;
if (!button && !form) return 'there is no button';
if (really) setTimeout(() => (button ? button.click() : form.requestSubmit()), 0);
return '';
"""
)
"""Arguments: pairs of selectors and text, SUBMIT, LOADING, CONSENT, PAPER_CHECKBOX, the wanted state of the switch
or null, PASSWORD, and whether to submit really or only to look. Submits the form only if it still is what was filled
in; returns why not, or an empty text."""

BLANK = r"""
const secrets = arguments[0].filter((one) => one);
const clean = (text) => secrets.reduce((all, one) => {
  const pattern = new RegExp(one.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi');
  return all.replace(pattern, '…');
}, text);
for (const field of document.querySelectorAll('input, textarea')) {
  if (field.type === 'file') continue;
  field.setAttribute('value', '');
  field.removeAttribute('value');
  if (field.type !== 'checkbox' && field.type !== 'radio') field.value = '';
}
const walker = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const text = clean(node.data);
  if (text !== node.data) node.data = text;
}
const copy = document.documentElement.cloneNode(true);
for (const one of copy.querySelectorAll('script, noscript, iframe, object, embed, template, link')) one.remove();
const comments = document.createTreeWalker(copy, NodeFilter.SHOW_COMMENT);
const doomed = [];
while (comments.nextNode()) doomed.push(comments.currentNode);
for (const one of doomed) one.remove();
for (const element of [copy, ...copy.querySelectorAll('*')])
  for (const {name, value} of [...element.attributes]) {
    if (name === 'value' || name === 'content' || name.startsWith('on') || value.startsWith('data:'))
      element.removeAttribute(name);
    else if (['href', 'src', 'action', 'formaction'].includes(name))
      element.setAttribute(name, clean(value.split(/[?#]/)[0]));
    else element.setAttribute(name, clean(value));
  }
return copy.outerHTML.slice(0, 1000000);
"""
"""Argument: texts that must not be seen. Empties every field of the live page, covers those texts, and returns the
document without values, scripts and comments."""
