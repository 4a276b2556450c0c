// Describes the page for a report that everybody may read: elements, names, and what their texts mean. No text of the
// page is in it but the labels of the elements that a login uses, and no value, address, comment, style or script.
const [table] = arguments;
const MOST = 1500, LEVELS = 60;
const PLAIN = ['type', 'role', 'autocomplete', 'inputmode', 'maxlength', 'tabindex', 'method', 'hidden', 'disabled',
  'readonly', 'required', 'contenteditable', 'inert', 'aria-hidden', 'aria-modal', 'aria-expanded', 'aria-checked',
  'aria-selected', 'aria-pressed', 'aria-busy', 'aria-invalid', 'aria-live', 'aria-haspopup'];
const NAMES = ['id', 'class', 'name', 'for', 'aria-labelledby', 'aria-describedby'];
const WORDED = ['placeholder', 'aria-label', 'title', 'alt'];
const LEFT_OUT = 'script, style, noscript, link, meta, template, head, base, br, wbr, path, source, track, param';
let count = 0;
const given = (element, names) => Object.fromEntries(names.filter((name) => element.hasAttribute(name))
  .map((name) => [name, element.getAttribute(name).slice(0, 300)]));
const meanings = (text) => (text ? Object.keys(WORDS).filter((meaning) => says(text.slice(0, 300), meaning)) : []);
const ownText = (element) => [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE)
  .map((node) => node.data).join(' ').replace(/\s+/g, ' ').trim();
const describeNode = (element, level) => {
  count += 1;
  const text = ownText(element), frame = element.localName === 'iframe' ? childDocument(element) : null;
  const inner = element.localName === 'svg' ? [] : [...element.children];
  const below = level > LEVELS ? [] : [
    ...(element.shadowRoot ? [['#shadow', [...element.shadowRoot.children]]] : []),
    ...(frame && frame.body ? [['#document', [frame.body]]] : []),
    ['', inner],
  ];
  return {
    tag: element.localName.slice(0, 60),
    plain: given(element, PLAIN),
    names: given(element, NAMES),
    words: Object.fromEntries(Object.entries(given(element, WORDED)).map(([name, value]) => [name, meanings(value)])),
    says: meanings(text),
    letters: text.length,
    shown: shown(element),
    parts: below.map(([kind, elements]) => [kind, elements.filter((each) => !each.matches(LEFT_OUT))
      .flatMap((each) => (count < MOST ? [describeNode(each, level + 1)] : []))]),
  };
};
const placeOf = (element) => {
  const place = [];
  for (let node = element; node; node = node.parentNode || node.host || (node.defaultView || {}).frameElement)
    place.push(node.localName || (node.host ? '#shadow' : '#document'));
  return place;
};
const row = ([name, selectors]) => {
  for (const selector of selectors)
    for (const element of candidates(selector).filter(shown)) {
      const by = selector.startsWith('recognised:') ? recognise(name).way : selector;
      return [{name, by, element: describe(element), place: placeOf(element),
        plain: given(element, ['type', 'role', 'autocomplete'])}];
    }
  return [];
};
// What the page and the browser keep: it must not be among the names.
const queries = (address) => {
  try {
    const url = new URL(address, document.baseURI);
    return [...url.searchParams.values(), url.hash.slice(1), ...url.pathname.split('/')];
  } catch { return []; }
};
const stored = (storage) => {
  try { return Object.values({...storage()}); } catch { return []; }
};
const addresses = all('[href], [src], [action], [formaction]').slice(0, 500).flatMap((element) =>
  ['href', 'src', 'action', 'formaction'].map((name) => element.getAttribute(name)).filter((value) => value));
const data = [
  ...document.cookie.split(/;\s*/).map((cookie) => cookie.slice(cookie.indexOf('=') + 1)),
  ...stored(() => localStorage), ...stored(() => sessionStorage),
  ...[location.href, ...addresses].filter((address) => !/^(data|javascript|blob):/i.test(address)).flatMap(queries),
  // Not what is typed: the browser's redactor knows it.
  ...all('input[type=hidden]').map((field) => field.value),
  ...all('meta[content]').map((meta) => meta.content),
].map(String).filter((value) => value.length >= 6 && value.length < 300).slice(0, 1000);
const rows = Object.entries(table).flatMap(row);
const tree = describeNode(document.body || document.documentElement, 0);
return [JSON.stringify({rows, tree, data, isCut: count >= MOST}), count];
