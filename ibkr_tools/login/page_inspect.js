// Takes a snapshot of the page; see `INSPECT` in `page_scripts.py`.

const visible = {}, recognised = {};
for (const [name, selectors] of Object.entries(known)) {
  const element = find(selectors);
  if (!element) continue;
  visible[name] = textOf(element);
  if (!isSelected(element, selectors)) recognised[name] = recognise(selectors.at(-1).slice(11)).way;
}
// An error by where it appears, after a submission: beside an emptied password field; beside one that kept what was
// typed, by what it says.
if (document[BEFORE] && !('error' in visible)) {
  const field = find(known.password), before = new Set(document[BEFORE]);
  const isNews = (line) => !before.has(line) && !says(line, 'busy') && (field.value === '' || says(line, 'wrong'));
  const answer = field ? lines().filter(isNews) : [];
  if (answer.length) {
    visible.error = answer.join(' ');
    recognised.error = 'structure';
  }
}
const headings = all('h1, h2, h3, legend, [role=heading]').filter(shown).map((element) => element.innerText);
const isForeign = (frame) => {
  const box = frame.getBoundingClientRect();
  return shown(frame) && box.width >= 200 && box.height >= 150 && !childDocument(frame) && /^https?:/.test(frame.src);
};
// What the page cannot do without: scripts and styles of its own; not icons, fonts, images, preloads, and scripts that
// nothing of the page waits for.
const leftOut = new Set(all('link:not([rel~=stylesheet])[href], script[async][src]')
  .map((element) => element.href || element.src));
const isPart = ({initiatorType: kind, name}) => name.startsWith(location.origin + '/') && !leftOut.has(name) &&
  (kind === 'script' || kind === 'link' || (kind === 'css' && new URL(name).pathname.endsWith('.css')));
const last = calls().at(-1);
const [document_] = performance.getEntriesByType('navigation');
const isError = location.protocol === 'chrome-error:';
// Telemetry must not crowd the calls that count out of the browser's record.
performance.setResourceTimingBufferSize(5000);
return {
  url: location.href,
  parsed: document.readyState !== 'loading',
  complete: document.readyState === 'complete',
  text: everyText(),
  visible: visible,
  recognised: recognised,
  inputs: all('input, button, select').filter(shown).length,
  paper: !first(checkboxes) || find(switches) ? isPaper(checkboxes) : null,
  exchanges: exchanges(),
  exchange: last ? (arrived(last) ? 200 : last.responseStatus || -1) : 0,
  document: performance.timeOrigin,
  status: isError ? Number((document.documentElement.innerText.match(/HTTP ERROR (\d+)/) || [])[1] || 0)
    : (document_ && document_.responseStatus) || 0,
  missing: entries().filter((entry) => !arrived(entry) && isPart(entry)).length,
  error: isError ? (document.documentElement.innerText.match(/ERR_[A-Z0-9_]+/) || [''])[0] : '',
  headline: isError ? '' : [document.title, ...headings].join(' | ').slice(0, MAX_TEXT_LENGTH),
  form_host: foreignTarget(find(known.password) || find(known.username), find(known.submit)),
  frame_hosts: isError ? [] : all('iframe').filter(isForeign).map((frame) => new URL(frame.src).host),
};
