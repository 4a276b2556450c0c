"""The JavaScript that takes out of a document what must not be seen, before a picture or a copy of it is kept."""

MAX_DOCUMENT_LENGTH = 1_000_000
"""Characters of the document that is kept, at most."""

REDACT_DOCUMENT = r"""
const pattern = arguments[0].length ? new RegExp(arguments[0].join('|'), 'gi') : /(?!)/g;
let redactions = 0;
const clean = (text) => {
  const cleaned = text.replace(pattern, '…');
  if (cleaned !== text) redactions += 1;
  return cleaned;
};
const hide = (element) => element.style && element.style.setProperty('visibility', 'hidden', 'important');
const empty = (field) => {
  clean(field.value || '');
  field.removeAttribute('value');
  if (!['checkbox', 'radio', 'file'].includes(field.type)) field.value = '';
};
const blank = (root) => {
  for (const field of root.querySelectorAll('input, textarea')) empty(field);
  // What other documents and drawings show cannot be looked into, nor a closed shadow tree.
  for (const frame of root.querySelectorAll('iframe, frame, object, embed, canvas, video')) hide(frame);
  for (const element of root.querySelectorAll('*')) {
    if (element.shadowRoot) blank(element.shadowRoot);
    else if (element.localName.includes('-')) hide(element);
    for (const {name, value} of [...element.attributes]) {
      const cleaned = clean(value);
      if (cleaned === value) continue;
      // A page may forbid that code is set, but not that it is removed.
      if (/^on|^src/.test(name)) element.removeAttribute(name);
      else element.setAttribute(name, cleaned);
    }
    // What a style writes, wherever that style comes from.
    for (const where of ['::before', '::after', '::marker'])
      if (getComputedStyle(element).visibility !== 'hidden' && clean(getComputedStyle(element, where).content) !==
        getComputedStyle(element, where).content) hide(element);
  }
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const cleaned = clean(node.data);
    if (cleaned !== node.data) node.data = cleaned;
  }
  // Innermost first: a name may be spread over several elements.
  for (const element of [...root.querySelectorAll('*:not(script)')].reverse()) {
    const cleaned = clean(element.textContent);
    if (cleaned !== element.textContent) element.textContent = cleaned;
  }
};
blank(document);
const copy = document.documentElement.cloneNode(true);
for (const element of copy.querySelectorAll('script, noscript, iframe, object, embed, template, link'))
  element.remove();
const comments = document.createTreeWalker(copy, NodeFilter.SHOW_COMMENT);
const nodes = [];
while (comments.nextNode()) nodes.push(comments.currentNode);
for (const comment of nodes) comment.remove();
for (const element of [copy, ...copy.querySelectorAll('*')])
  for (const {name, value} of [...element.attributes]) {
    if (name === 'value' || name === 'content' || name.startsWith('on') || value.startsWith('data:'))
      element.removeAttribute(name);
    else if (['href', 'src', 'action', 'formaction'].includes(name))
      element.setAttribute(name, value.split(/[?#]/)[0]);
  }
return [copy.outerHTML.slice(0, MAX_DOCUMENT_LENGTH), redactions];
""".replace("MAX_DOCUMENT_LENGTH", str(MAX_DOCUMENT_LENGTH))
"""Argument: patterns of what must not be seen. Empties every field of the live page, redacts that wherever it stands,
shadow trees and attributes included, and returns the document without values, scripts and comments, and how often
there was something to redact."""
