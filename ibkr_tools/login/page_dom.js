// What can be seen of a page: the document, its open shadow roots, and the documents of visible frames of its origin.
//
// Everything is looked up once in an evaluation, until `results` is cleared.

const results = new Map();
const once = (compute) => () => {
  if (!results.has(compute)) results.set(compute, compute());
  return results.get(compute);
};
const onceFor = (name, compute) => (node) => {
  if (!results.has(name)) results.set(name, new Map());
  const known = results.get(name);
  if (!known.has(node)) known.set(node, compute(node));
  return known.get(node);
};
// What is cut off by what is around it cannot be seen; what a window can be moved to, can.
const flatParent = (node) => node.assignedSlot || node.parentElement || node.getRootNode().host || null;
const NOTHING_LEFT = /^(?:inset\((?:[5-9]\d|100)(?:\.\d+)?%|circle\(0(?:px|%)?[ )])|^rect\(0px(?:,? 0px){3}\)$/;
const styleOf = onceFor('style', (node) => {
  const {position, display, opacity, clip, clipPath, overflowX, overflowY} = getComputedStyle(node);
  const cuts = (overflow) => node !== node.ownerDocument.body && ['hidden', 'clip'].includes(overflow);
  return {position, opacity: Number(opacity), cutsX: cuts(overflowX), cutsY: cuts(overflowY),
    hasNoBox: display === 'contents', isClipped: NOTHING_LEFT.test(clipPath) || NOTHING_LEFT.test(clip)};
});
const isCutOff = (element, {left, top, right, bottom}) => {
  let {position} = styleOf(element), opacity = 1;
  for (let node = element; node && node !== node.ownerDocument.documentElement; node = flatParent(node)) {
    const style = styleOf(node);
    opacity *= style.opacity;
    if (opacity < 0.05 || style.isClipped) return true;
    const isEscaped = position === 'fixed' || (position === 'absolute' && style.position === 'static');
    if (node === element || style.hasNoBox || isEscaped) continue;
    ({position} = style);
    if (!style.cutsX && !style.cutsY) continue;
    const around = node.getBoundingClientRect();
    if (style.cutsX) [left, right] = [Math.max(left, around.left), Math.min(right, around.right)];
    if (style.cutsY) [top, bottom] = [Math.max(top, around.top), Math.min(bottom, around.bottom)];
    if (right - left <= 1 || bottom - top <= 1) return true;
  }
  return false;
};
const WIDEST_SCREEN = 8000;
const shown = onceFor('shown', (element) => {
  if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) return false;
  const box = element.getBoundingClientRect(), view = element.ownerDocument.defaultView;
  return box.width > 1 && box.height > 1 && box.right + view.scrollX > 0 && box.bottom + view.scrollY > 0 &&
    box.left + view.scrollX < WIDEST_SCREEN && !isCutOff(element, box);
});
const childDocument = (frame) => {
  try { return frame.contentDocument; } catch { return null; }
};
const rootsWithin = function* (root) {
  yield root;
  for (const element of root.querySelectorAll('*')) {
    if (element.shadowRoot) yield* rootsWithin(element.shadowRoot);
    const inner = element.localName === 'iframe' && shown(element) ? childDocument(element) : null;
    if (inner && inner.body) yield* rootsWithin(inner);
  }
};
// The document, its open shadow roots, and the documents of visible frames of its own origin.
const roots = once(() => [...rootsWithin(document)]);
const all = (selector) => roots().flatMap((root) => [...root.querySelectorAll(selector)]);
const views = () => roots().filter((root) => root.defaultView).map((root) => root.defaultView);
const everyText = () => roots().map((root) => (root.body ? [root.body] : [...root.children])
  .map((element) => element.innerText || '').join(' ')).join('\n').trim().slice(0, MAX_TEXT_LENGTH);
// The host of another origin that a form, or its button, is sent to by the browser itself; empty without one.
const foreignTarget = (field, button) => {
  const form = field && field.form;
  const written = [button && button.getAttribute('formaction'), form && form.getAttribute('action')];
  for (const address of written.filter((text) => text)) {
    try {
      const url = new URL(address, field.ownerDocument.baseURI);
      if (/^https?:$/.test(url.protocol) && url.origin !== location.origin) return url.host;
    } catch { /* no address */ }
  }
  return '';
};
