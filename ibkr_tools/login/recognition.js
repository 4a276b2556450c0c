// Recognises the parts of a login page by role and by structure, where the known selectors find nothing.
//
// role: what the page says of an element itself: autocomplete, type, ARIA attributes, label, placeholder, visible text.
// structure: what an element is to others: the text field before the one password field, the control that submits them.
// A part is taken only where exactly one element is possible, and a form only as a whole: a password's field that comes
// with a second one, with a field that is none of ours, or without a control that logs in, is no login's. Open shadow
// roots and frames of the page's own origin are looked into. Nothing here reads what is typed.

const parentOf = (node) => node.parentNode || node.host || (node.defaultView && node.defaultView.frameElement) || null;
const ancestors = function* (node) {
  for (let parent = parentOf(node); parent; parent = parentOf(parent)) yield parent;
};
const contains = (scope, node) => scope === node || [...ancestors(node)].includes(scope);
const only = (elements) => (elements.length === 1 ? elements[0] : null);
// Whether one comes before the other, whichever shadow roots they are in; also if there is no order between them.
const precedes = (one, other) => {
  const [path, otherPath] = [one, other].map((node) => [node, ...ancestors(node)].reverse());
  const fork = path.findIndex((node, index) => node !== otherPath[index]);
  const [left, right] = [path[fork], otherPath[fork]];
  return !left || !right || left.parentNode !== right.parentNode || !left.parentNode ||
    Boolean(left.compareDocumentPosition(right) & Node.DOCUMENT_POSITION_FOLLOWING);
};

const normal = (text) => (text || '').normalize('NFKC').replace(/\s+/g, ' ').trim();
const says = (text, meaning) => new RegExp(WORDS[meaning], 'iu').test(normal(text));
const LETTER = '[\\p{Script=Latin}\\p{Script=Cyrillic}\\p{Script=Arabic}\\p{Script=Hebrew}]';
const is = (text, meaning, whole) =>
  new RegExp(`^(?:${WORDS[meaning]})${whole ? '$' : `(?!${LETTER})`}`, 'iu').test(normal(text));

const FIELDS = 'input:not([type=hidden], [type=submit], [type=button], [type=image], [type=reset]), select, textarea';
const allFields = once(() => all(FIELDS));
const hasField = (scope) => allFields().some((field) => contains(scope, field));
// The component that a field is all of, whose label is the field's.
const componentOf = (field) => {
  const {host} = field.getRootNode();
  return host && allFields().filter((other) => contains(host, other)).length === 1 ? host : null;
};
const NAMED_BY = ['aria-label', 'placeholder', 'title', 'alt'];
const labelOf = (element) => {
  const named = (element.getAttribute('aria-labelledby') || '').split(/\s+/).filter((id) => id)
    .map((id) => element.getRootNode().getElementById(id)).filter((found) => found).map((found) => found.innerText);
  const labels = [...(element.labels || [])].map((label) => label.innerText);
  const text = normal([...named, ...labels, ...NAMED_BY.map((name) => element.getAttribute(name))]
    .filter((text) => text).join(' '));
  const component = !text && element.matches(FIELDS) ? componentOf(element) : null;
  if (!component) return text;
  const pointing = component.id ? component.getRootNode().querySelector(`label[for="${CSS.escape(component.id)}"]`) : null;
  return normal([component.getAttribute('label'), pointing && pointing.innerText, labelOf(component)]
    .filter((text) => text).join(' '));
};
const LONGEST_LABEL = 60;
// A label that is one to the eye alone: the text right before the field, with no other field between.
const besideOf = (element) => {
  for (let node = element, up = 0; node && up < 6; node = node.parentElement || componentOf(element), up += 1) {
    for (let before = node.previousSibling; before; before = before.previousSibling) {
      if (![Node.ELEMENT_NODE, Node.TEXT_NODE].includes(before.nodeType)) continue;
      if (before.checkVisibility && !before.checkVisibility()) continue;
      if (before.nodeType === Node.ELEMENT_NODE && hasField(before)) return '';
      const text = normal(before.innerText === undefined ? before.textContent : before.innerText);
      if (text) return text.length > LONGEST_LABEL ? '' : text;
    }
    if (node === componentOf(element)) element = node;
  }
  return '';
};
const nameOf = (field) => labelOf(field) || besideOf(field);

// What hides an element from everybody who uses the page. A window of another element is no reason.
const isInert = (element) => [element, ...ancestors(element)]
  .some((node) => node.matches && node.matches('[aria-hidden=true], [inert]'));
const usable = (element) => shown(element) && !isInert(element);
// A field that is empty and cannot be written may wait for the focus.
const isWritable = (field) => !field.matches(':disabled') && !(field.readOnly && field.value !== '');
const tokensOf = (field) => (field.getAttribute('autocomplete') || '').toLowerCase().split(/\s+/);

const TEXT_TYPES = ['text', 'email', 'tel', 'number'];
const isSearch = (element) => element.closest('[role=search], search') !== null ||
  ['searchbox', 'combobox'].includes(element.getAttribute('role')) || says(nameOf(element), 'search');
const isNewsletter = (field) => says(nameOf(field), 'newsletter') && !says(nameOf(field), 'username');
const isCode = (field) => tokensOf(field).includes('one-time-code') ||
  (says(nameOf(field), 'code') && (field.type !== 'password' || !says(nameOf(field), 'password')));
const textFields = once(() => all('input')
  .filter((field) => TEXT_TYPES.includes(field.type) && usable(field) && isWritable(field) && !isSearch(field)));
const passwordFields = once(() => all('input[type=password]')
  .filter((field) => usable(field) && isWritable(field) && !isCode(field)));
const isNew = (field) => tokensOf(field).includes('new-password') || says(labelOf(field), 'new') ||
  (says(besideOf(field), 'new') && says(besideOf(field), 'password'));

// How far up two elements meet: the fewer floors, the closer.
const meeting = (one, other) => {
  let floors = 0;
  for (const scope of ancestors(one)) {
    floors += 1;
    if (contains(scope, other)) return floors;
  }
  return Infinity;
};
const closest = (element, candidates) => {
  const distances = candidates.map((candidate) => meeting(element, candidate));
  const least = Math.min(...distances);
  return candidates.filter((_, index) => distances[index] === least);
};
const scopeOf = (elements) => [...ancestors(elements[0])]
  .find((scope) => elements.every((element) => contains(scope, element)));

const BUTTONS = 'button, input[type=submit], input[type=button], input[type=image], a, [role=button]';
const OTHER_CONTROLS = '[tabindex], [onclick]';
const NO_CONTROLS = '[role=tab], [role=switch], [role=option], [role=checkbox], [role=radio], label, form';
const ICONS = 'mat-icon, [aria-hidden=true], .material-icons, .material-symbols-outlined';
const ownText = (element) => {
  const icons = [...element.querySelectorAll(ICONS)].map((icon) => icon.innerText || '').filter((text) => text);
  return normal(icons.reduce((text, icon) => text.replace(icon, ''), element.innerText || ''));
};
const textOfControl = (element) => {
  const text = normal(element.localName === 'input' ? element.value || labelOf(element) : ownText(element)) || labelOf(element);
  const {host} = element.getRootNode();
  return text || !host || hasField(host) ? text : ownText(host) || labelOf(host);
};
const isPointed = (element) => getComputedStyle(element).cursor === 'pointer';
const isButton = (element) => element.matches(BUTTONS);
const within = (elements, element) => elements.some((other) => other !== element && contains(element, other));
const controls = once(() => {
  const found = all('*').filter((element) =>
    (isButton(element) || element.matches(OTHER_CONTROLS) || element.localName.includes('-')) &&
    !element.matches(NO_CONTROLS) && usable(element) && !hasField(element) && textOfControl(element).length < 60);
  const buttons = found.filter(isButton);
  // A button counts as a whole; of what is not said to be one, the innermost.
  return found.filter((element) => isButton(element)
    ? !buttons.some((other) => other !== element && contains(other, element))
    : !within(found, element) && !buttons.some((button) => contains(button, element)));
});
const isSubmitType = (control) => ['submit', 'image'].includes(control.type);
const isAside = (control) => says(textOfControl(control), 'aside');
const belongsTo = (control, form) => (control.form ? control.form === form : contains(form, control));
// What nothing but the pointer over it shows to be a control.
const pointed = (scope) => {
  const found = all('*').filter((element) => contains(scope, element) && isPointed(element) && usable(element) &&
    !hasField(element) && !controls().some((control) => contains(control, element)) && !element.matches(NO_CONTROLS) && textOfControl(element).length < 60 && !isAside(element));
  return found.filter((element) => !found.some((other) => other !== element && contains(other, element)));
};
// The control that ends what is typed into these fields: of their form, or of the closest element that has both. One
// that cannot be pressed yet is one, too.
const controlFor = (fields, meaning) => {
  const last = fields.at(-1), {form} = last;
  const candidates = controls().filter((control) => !isAside(control) && precedes(last, control));
  const matching = (found, whole, meant = meaning) => found.filter((control) => is(textOfControl(control), meant, whole));
  // What takes both fields may say "Continue" too.
  const said = (found) => only(matching(found, true)) || only(matching(found, false)) ||
    (matching(found, false).length ? null : only(matching(found, true, 'continue')));
  if (form && controls().some((control) => belongsTo(control, form) && isSubmitType(control))) {
    const inside = candidates.filter((control) => belongsTo(control, form));
    return chosen(inside, fields, said, matching);
  }
  const scopes = [...ancestors(last)].filter((scope) => fields.every((field) => contains(scope, field)));
  const free = candidates.filter((control) => !control.form || control.form === form);
  const scope = scopes.find((one) => free.some((control) => contains(one, control)));
  const inside = scope ? free.filter((control) => contains(scope, control)) : [];
  if (form && scope && !contains(form, scope)) {
    // Beyond the form stands nothing for it but what says so.
    const beyond = said(inside.filter((control) => !control.matches('a[href]:not([href^="#"])')));
    return ['role', beyond];
  }
  const [way, control] = chosen(inside, fields, said, matching);
  if (control || matching(inside, false).length) return [way, control];
  const near = form ? scopes.filter((one) => contains(form, one)) : scopes;
  const hinted = near.map(pointed).find((found) => found.length) || [];
  return said(hinted) ? ['role', said(hinted)] : ['structure', only(hinted)];
};
const chosen = (inside, fields, said, matching) => {
  if (said(inside)) return ['role', said(inside)];
  if (matching(inside, false).length) return ['structure', null];
  const wordless = inside.filter((control) => !/\p{L}/u.test(textOfControl(control)));
  // A picture within a field's frame does something to the field, unless it is all there is.
  const outer = inside.filter((control) => !wordless.includes(control) ||
    !inside.some((other) => meeting(fields.at(-1), other) > meeting(fields.at(-1), control)));
  const buttons = outer.filter((control) => isButton(control) && !control.matches('a[href]:not([href^="#"])'));
  const others = outer.filter((control) => !isButton(control) &&
    (control.matches(OTHER_CONTROLS) || isPointed(control) || within(all('*').filter(isPointed), control)));
  for (const found of [outer.filter(isSubmitType), outer.filter((control) => wordless.includes(control)), buttons,
    buttons.length ? [] : others]) if (only(found)) return ['structure', only(found)];
  return ['structure', null];
};

const isForeign = (field, form) => Boolean(field.form) && field.form !== form &&
  controls().some((control) => belongsTo(control, field.form));
const userOf = (secret) => {
  const fields = textFields().filter((field) => !isCode(field) && !isNewsletter(field) &&
    !isForeign(field, secret.form));
  const ours = secret.form && fields.some((field) => field.form === secret.form)
    ? fields.filter((field) => field.form === secret.form) : fields;
  const near = (found) => only(found.length > 1 ? closest(secret, found) : found);
  const declared = near(ours.filter((field) => tokensOf(field).includes('username')));
  if (declared) return ['role', declared];
  const labelled = near(ours.filter((field) => says(nameOf(field), 'username')));
  if (labelled) return ['role', labelled];
  return ['structure', only(closest(secret, ours.filter((field) => precedes(field, secret))))];
};
// What is to be typed into in that part of the page, besides these.
const WRITTEN = 'input, textarea, [contenteditable=""], [contenteditable=true]';
const hasOthers = (scope, known) => all(WRITTEN).some((field) => contains(scope, field) && !known.includes(field) &&
  (field.localName !== 'input' || [...TEXT_TYPES, 'password', 'date'].includes(field.type)) && usable(field) &&
  !isSearch(field) && !isNewsletter(field) && !field.readOnly && !field.matches(':disabled'));
const hasNoButton = (form) => Boolean(form) &&
  !controls().some((control) => belongsTo(control, form) && isSubmitType(control));
const loginWith = (secret) => {
  const [userWay, user] = userOf(secret), known = user ? [user, secret] : [secret];
  const [way, control] = controlFor(known, 'submit');
  if (!control && !hasNoButton(secret.form)) return null;
  const scope = secret.form || scopeOf([secret, ...(user ? [user] : []), control]);
  if (hasOthers(scope, known)) return null;
  return {username: [userWay, user], submit: [way, control], secret};
};
// The one login of the page, as a whole.
const login = once(() => {
  const found = passwordFields().filter((field) => !isNew(field)).map(loginWith).filter((form) => form);
  const by = (way, test) => [way, only(found.filter(test))];
  const ways = [by('role', ({secret}) => tokensOf(secret).includes('current-password')),
    by('role', ({secret}) => says(nameOf(secret), 'password')), by('structure', () => true),
    by('structure', ({submit: [way, control]}) => control && way === 'role')];
  const [way, form] = ways.find(([, one]) => one) || ['structure', null];
  return form && {...form, password: [way, form.secret]};
});
// A user name alone, which a password will follow.
const firstStep = once(() => {
  if (passwordFields().length) return null;
  const fields = textFields().filter((field) => !isCode(field) && !isNewsletter(field));
  const named = only(fields.filter((field) => tokensOf(field).includes('username'))) ||
    only(fields.filter((field) => says(nameOf(field), 'username')));
  const field = named || only(fields);
  const [way, control] = field ? controlFor([field], 'continue') : ['structure', null];
  if (!control || !(named || way === 'role') || hasOthers(field.form || scopeOf([field, control]), [field])) return null;
  return {username: [named ? 'role' : 'structure', field], 'continue': [way, control]};
});
const NOTHING = ['structure', null];
const part = (name) => () => (login() || firstStep() || {})[name] || NOTHING;

// One field for a code, or as many as it has characters.
const boxesOf = (field) => {
  if (field.maxLength !== 1) return [field];
  for (const scope of ancestors(field)) {
    const boxes = textFields().concat(all('input[type=password]').filter(usable))
      .filter((other) => other.maxLength === 1 && contains(scope, other));
    if (boxes.length > 1 && (boxes.length > 3 || scope === document)) return boxes;
  }
  return [field];
};
const codeFields = once(() => [...textFields(), ...all('input[type=password]').filter((field) => usable(field) && isCode(field))]);
const oneCode = (fields) => {
  const first = fields[0];
  if (fields.length > 1 && first.maxLength === 1) {
    const boxes = boxesOf(first);
    return fields.every((field) => boxes.includes(field)) ? first : null;
  }
  return only(fields);
};
const code = () => {
  if (passwordFields().length) return NOTHING;
  const fields = codeFields();
  const declared = oneCode(fields.filter((field) => tokensOf(field).includes('one-time-code')));
  if (declared) return ['role', declared];
  const labelled = oneCode(fields.filter(isCode));
  if (labelled) return ['role', labelled];
  const numeric = fields.filter((field) => ['numeric', 'decimal'].includes(field.inputMode) ||
    ['tel', 'number'].includes(field.type) || (field.maxLength >= 6 && field.maxLength <= 8) || field.maxLength === 1);
  return ['structure', oneCode(numeric)];
};
const codeSubmit = () => {
  const [, field] = code();
  return field ? controlFor(boxesOf(field).slice(-1), 'submit') : NOTHING;
};

// The choice between live and paper: whether paper is chosen, and how to choose.
const choose = (element, wanted) => {
  element.value = wanted;
  for (const kind of ['input', 'change']) element.dispatchEvent(new Event(kind, {bubbles: true, composed: true}));
};
const checkedState = (element) => {
  if (element.localName === 'input') return element.checked;
  const state = ['aria-checked', 'aria-selected', 'aria-pressed', 'aria-current']
    .map((name) => element.getAttribute(name)).find((value) => value !== null);
  return state === undefined ? null : state !== 'false';
};
// A box may be drawn by what is around it, and be transparent itself.
const visibleWithLabel = (input) => shown(input) || [...(input.labels || [])].some(shown) ||
  (input.matches('input') && input.checkVisibility() && input.parentElement !== null && shown(input.parentElement));
const nameOfChoice = (element) =>
  labelOf(element) || (element.localName === 'input' ? besideOf(element) : normal(element.innerText));
const modes = () => {
  if (!login() && !firstStep()) return null;
  const select = only(all('select').filter((element) => usable(element) &&
    [...element.options].some((option) => says(option.text, 'paper')) &&
    [...element.options].some((option) => says(option.text, 'live'))));
  if (select) {
    const option = (paper) => [...select.options].find((each) => says(each.text, paper ? 'paper' : 'live'));
    return {paper: says((select.selectedOptions[0] || {}).text, 'paper'), set: (paper) => choose(select, option(paper).value)};
  }
  const STATED = 'input[type=radio], [role=radio], [role=tab], [role=option], [aria-pressed], [aria-selected], [aria-current]';
  for (const selector of [STATED, `${STATED}, a, button, [role=button]`]) {
    const choices = all(selector).filter(visibleWithLabel);
    const saying = (mode, other) =>
      only(choices.filter((element) => says(nameOfChoice(element), mode) && !says(nameOfChoice(element), other)));
    const paper = saying('paper', 'live'), live = saying('live', 'paper');
    const [state, other] = paper && live ? [checkedState(paper), checkedState(live)] : [null, null];
    if (state !== null || other !== null)
      return {paper: state === null ? !other : state, set: (wanted) => (wanted ? paper : live).click()};
  }
  const toggles = all('input[type=checkbox], [role=switch], [role=checkbox]').filter(visibleWithLabel)
    .filter((element) => checkedState(element) !== null);
  for (const mode of ['paper', 'live']) {
    const toggle = only(toggles.filter((element) => says(nameOfChoice(element), mode)));
    const isPaper = toggle && checkedState(toggle) === (mode === 'paper');
    if (toggle) return {paper: isPaper, set: (wanted) => wanted !== isPaper && toggle.click()};
  }
  return null;
};

// The choice between second factors: what is offered, each with what chooses it.
const methods = () => {
  if (passwordFields().length) return [];
  const select = only(all('select').filter((element) => usable(element) &&
    [...element.options].some((option) => says(option.text, 'method'))));
  if (select)
    return [...select.options].filter((option) => option.value && !option.disabled)
      .map((option) => ({text: normal(option.text), value: option.value, element: select,
        take: () => choose(select, option.value)}));
  const offers = all('input[type=radio], [role=radio], [role=option], button, [role=button], li, a')
    .filter(visibleWithLabel).filter((element) => says(nameOfChoice(element), 'method'));
  return offers.length < 2 ? [] : offers.map((element) =>
    ({text: nameOfChoice(element), value: element.value || element.dataset.value || '', element,
      take: () => element.click()}));
};

const picker = () => {
  const offered = methods();
  return ['role', offered.length ? offered[0].element : null];
};

// What declines the offer of a passkey, or leads from it to another way, where there is nothing to be filled in.
const decline = () => {
  if (passwordFields().length || textFields().length || !says(`${document.title} ${everyText()}`, 'passkey'))
    return ['role', null];
  const saying = (meaning) => only(controls().filter((control) => is(textOfControl(control), meaning, true)));
  return ['role', saying('decline') || saying('other-way')];
};

// An element in words that everybody may read: what it is and how it is labelled, never what is typed into it.
const describe = (element) => {
  const kind = element.getAttribute('role') || element.getAttribute('type') || '';
  const label = element.matches(FIELDS) && !['submit', 'button'].includes(element.type)
    ? nameOf(element) : textOfControl(element);
  return `<${element.localName}${kind && ' ' + kind}> ${label && JSON.stringify(label.slice(0, 60))}`.trim();
};

const RECOGNISERS = {username: part('username'), password: part('password'), submit: part('submit'),
  'continue': part('continue'), code, 'code-submit': codeSubmit, 'method-picker': picker, promo: decline};
const recognise = (name) => {
  const [way, element] = RECOGNISERS[name]();
  return {way, element};
};
