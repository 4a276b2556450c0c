// Recognises the parts of a login page by role and by structure, where the known selectors find nothing.
//
// role: what the page says of an element itself: autocomplete, type, ARIA attributes, label, placeholder, visible text.
// structure: what an element is to others: the text field before the one password field, the control that submits them.
// A part is taken only where exactly one element is possible. Open shadow roots and frames of the page's own origin are
// looked into. Nothing here reads what is typed.

const parentOf = (node) => node.parentNode || node.host || (node.defaultView && node.defaultView.frameElement) || null;
const ancestors = function* (node) {
  for (let parent = parentOf(node); parent; parent = parentOf(parent)) yield parent;
};
const contains = (scope, node) => scope === node || [...ancestors(node)].includes(scope);
const only = (elements) => (elements.length === 1 ? elements[0] : null);

const normal = (text) => (text || '').normalize('NFKC').replace(/\s+/g, ' ').trim();
const says = (text, meaning) => new RegExp(WORDS[meaning], 'iu').test(normal(text));
const is = (text, meaning, whole) => new RegExp(`^(?:${WORDS[meaning]})${whole ? '$' : ''}`, 'iu').test(normal(text));

const FIELDS = 'input, select, textarea';
const labelOf = (element) => {
  const named = (element.getAttribute('aria-labelledby') || '').split(/\s+/).filter((id) => id)
    .map((id) => element.getRootNode().getElementById(id)).filter((found) => found).map((found) => found.innerText);
  const labels = [...(element.labels || [])].map((label) => label.innerText);
  return normal([...named, element.getAttribute('aria-label'), ...labels, element.getAttribute('placeholder'),
    element.getAttribute('title'), element.getAttribute('alt')].filter((text) => text).join(' '));
};
// A label that is one to the eye alone: the text right before the field, with no other field between.
const besideOf = (element) => {
  for (let node = element, up = 0; node && up < 6; node = node.parentElement, up += 1)
    for (let before = node.previousSibling; before; before = before.previousSibling) {
      if (before.nodeType === Node.ELEMENT_NODE && (before.matches(FIELDS) || before.querySelector(FIELDS))) return '';
      const text = normal(before.innerText === undefined ? before.textContent : before.innerText);
      if (text && before.nodeType !== Node.COMMENT_NODE) return text;
    }
  return '';
};
const textOfControl = (element) =>
  normal(element.localName === 'input' ? element.value || labelOf(element) : element.innerText) || labelOf(element);

const usable = (element) => shown(element) && !element.disabled && !element.readOnly &&
  !element.closest('[aria-hidden=true], [inert]');
const TEXT_TYPES = ['text', 'email', 'tel', 'number'];
const isSearch = (element) => element.closest('[role=search], search') !== null ||
  ['searchbox', 'combobox'].includes(element.getAttribute('role')) || says(`${labelOf(element)}`, 'search');
const textFields = () => all('input').filter((field) => TEXT_TYPES.includes(field.type) && usable(field) && !isSearch(field));

const passwordFields = () => all('input[type=password]').filter(usable);
const password = () => {
  const fields = passwordFields().filter((field) => field.autocomplete !== 'new-password' && !says(labelOf(field), 'new'));
  const current = fields.filter((field) => field.autocomplete === 'current-password');
  const labelled = fields.filter((field) => says(labelOf(field) || besideOf(field), 'password'));
  if (only(current)) return ['role', only(current)];
  if (only(labelled)) return ['role', only(labelled)];
  return ['structure', only(fields)];
};

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
const isCode = (field) => field.autocomplete === 'one-time-code' || says(labelOf(field) || besideOf(field), 'code');

const username = () => {
  const fields = textFields().filter((field) => !isCode(field) && !says(labelOf(field) || besideOf(field), 'newsletter'));
  const [, secret] = password();
  const near = (found) => (secret && found.length > 1 ? closest(secret, found) : found);
  const declared = near(fields.filter((field) => field.autocomplete === 'username'));
  if (only(declared)) return ['role', only(declared)];
  const labelled = near(fields.filter((field) => says(labelOf(field) || besideOf(field), 'username')));
  if (only(labelled)) return ['role', only(labelled)];
  if (!secret) {
    const field = only(fields);
    const [way, control] = field && !passwordFields().length ? controlFor([field], 'continue') : [null, null];
    return ['structure', control && way === 'role' ? field : null];
  }
  const before = fields.filter((field) =>
    field.getRootNode() === secret.getRootNode() &&
    field.compareDocumentPosition(secret) & Node.DOCUMENT_POSITION_FOLLOWING);
  return ['structure', only(closest(secret, before))];
};

const CONTROLS = 'button, input[type=submit], input[type=button], input[type=image], a, [role=button], [tabindex], [onclick]';
const controls = () => {
  const found = all('*').filter((element) => (element.matches(CONTROLS) || element.localName.includes('-')) &&
    !element.matches('[role=tab], [role=switch], [role=option], [role=checkbox], [role=radio]') && usable(element) &&
    !element.querySelector(FIELDS) && !element.shadowRoot && textOfControl(element).length < 60);
  return found.filter((element) => !found.some((other) => other !== element && element.contains(other)));
};
const follows = (control, field) => control.getRootNode() !== field.getRootNode() ||
  Boolean(field.compareDocumentPosition(control) & Node.DOCUMENT_POSITION_FOLLOWING);
// The control that ends what is typed into these fields: within their form, or the closest element that has both.
const controlFor = (fields, meaning) => {
  const last = fields.at(-1);
  const candidates = controls().filter((control) => !says(textOfControl(control), 'aside') && follows(control, last));
  const scopes = [...ancestors(last)].filter((scope) => fields.every((field) => contains(scope, field)));
  const within = (scope) => candidates.filter((control) => contains(scope, control));
  const scope = (last.form && within(last.form).length ? last.form : scopes.find((one) => within(one).length)) || null;
  if (!scope) return ['structure', null];
  const inside = within(scope);
  const matching = (whole) => inside.filter((control) => is(textOfControl(control), meaning, whole));
  if (only(matching(true))) return ['role', only(matching(true))];
  if (only(matching(false))) return ['role', only(matching(false))];
  if (matching(false).length) return ['structure', null];
  const submits = inside.filter((control) => ['submit', 'image'].includes(control.type));
  if (only(submits)) return ['structure', only(submits)];
  const wordless = inside.filter((control) => !/\p{L}/u.test(textOfControl(control)));
  if (only(wordless)) return ['structure', only(wordless)];
  return ['structure', only(inside.filter((control) => !control.matches('a[href]:not([href^="#"])')))];
};
const submit = () => {
  const [, secret] = password();
  const [, name] = username();
  return secret ? controlFor(name ? [name, secret] : [secret], 'submit') : ['structure', null];
};
const goOn = () => {
  const [, field] = username();
  return field && !passwordFields().length ? controlFor([field], 'continue') : ['structure', null];
};

const code = () => {
  if (passwordFields().length) return ['structure', null];
  const fields = textFields();
  const declared = fields.filter((field) => field.autocomplete === 'one-time-code');
  if (only(declared)) return ['role', only(declared)];
  const labelled = fields.filter(isCode);
  if (only(labelled)) return ['role', only(labelled)];
  const numeric = fields.filter((field) => ['numeric', 'decimal'].includes(field.inputMode) ||
    ['tel', 'number'].includes(field.type) || (field.maxLength >= 6 && field.maxLength <= 8));
  return ['structure', only(numeric)];
};
const codeSubmit = () => {
  const [, field] = code();
  return field ? controlFor([field], 'submit') : ['structure', null];
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
const visibleWithLabel = (input) => shown(input) || [...(input.labels || [])].some(shown);
const nameOfChoice = (element) =>
  labelOf(element) || (element.localName === 'input' ? besideOf(element) : normal(element.innerText));
const modes = () => {
  if (!passwordFields().length && !username()[1]) return null;
  const select = only(all('select').filter((element) => usable(element) &&
    [...element.options].some((option) => says(option.text, 'paper')) &&
    [...element.options].some((option) => says(option.text, 'live'))));
  if (select) {
    const option = (paper) => [...select.options].find((each) => says(each.text, paper ? 'paper' : 'live'));
    return {paper: says((select.selectedOptions[0] || {}).text, 'paper'), set: (paper) => choose(select, option(paper).value)};
  }
  const choices = all('input[type=radio], [role=radio], [role=tab], [role=option], [aria-pressed], [aria-selected]')
    .filter(visibleWithLabel);
  const paper = only(choices.filter((element) => says(nameOfChoice(element), 'paper')));
  const live = only(choices.filter((element) => says(nameOfChoice(element), 'live')));
  if (paper && live && paper !== live && checkedState(paper) !== null)
    return {paper: checkedState(paper), set: (wanted) => (wanted ? paper : live).click()};
  const toggle = only(all('input[type=checkbox], [role=switch], [role=checkbox]').filter(visibleWithLabel)
    .filter((element) => says(nameOfChoice(element), 'paper') && checkedState(element) !== null));
  return toggle && {paper: checkedState(toggle), set: (wanted) => checkedState(toggle) !== wanted && toggle.click()};
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
    ? labelOf(element) || besideOf(element) : textOfControl(element);
  return `<${element.localName}${kind && ' ' + kind}> ${label && JSON.stringify(label.slice(0, 60))}`.trim();
};

const RECOGNISERS = {username, password, submit, 'continue': goOn, code, 'code-submit': codeSubmit,
  'method-picker': picker, promo: decline};
const recognise = (name) => {
  const [way, element] = RECOGNISERS[name]();
  return {way, element};
};
