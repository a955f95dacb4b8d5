'use strict';
// Shows the results that stand in this page as JSON. Whatever people or models wrote becomes a text node, never markup;
// the content security policy forbids the rest.
(() => {
  const PAGE = 100;
  const PRINTED = 1000;
  const OUTCOMES = ['error', 'fail', 'unscored', 'skipped', 'pass'];
  const SIGNS = { pass: '✓', fail: '✗', error: '⚠', unscored: '?', skipped: '–' };
  const byId = (id) => document.getElementById(id);

  // Data: parsed once, then taken out of the document, so that it is held only once.

  const runs = [];
  const rows = [];
  for (const element of document.querySelectorAll('script[data-kind]')) {
    const parsed = JSON.parse(element.textContent);
    for (const one of parsed) (element.dataset.kind === 'runs' ? runs : rows).push(one);
    element.remove();
  }
  rows.forEach((row, index) => {
    row.index = index;
    row.case ||= {};
    row.repeat ||= 0;
    row.title = row.repeat ? `${row.case.id} #${row.repeat + 1}` : String(row.case.id);
    row.suite = runs[row.run].suite;
    row.said = answerText(row.answer);
  });

  // Elements and words

  function make(tag, options, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(options || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name === 'text') element.textContent = value;
      else if (name === 'class') element.className = value;
      else element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  /** A piece of somebody's text, isolated from the direction of what is around it. */
  const said = (text, tag = 'bdi', kind = '') => make(tag, { dir: 'auto', class: kind || null, text: String(text) });

  const whole = (number) => Number(number).toLocaleString('en-US');
  const percent = (rate) => {
    if (rate === null || rate === undefined) return '–';
    const shown = (rate * 100).toFixed(1);
    return shown === '100.0' && rate < 1 ? '99.9%' : `${shown.replace('.0', '')}%`;
  };
  const dollars = (amount) => {
    if (amount === null || amount === undefined) return 'not known';
    if (amount === 0) return '$0';
    return amount < 0.01 ? `$${amount.toPrecision(2)}` : `$${amount.toFixed(amount < 1 ? 4 : 2)}`;
  };
  const time = (ms) => {
    if (ms === null || ms === undefined) return '–';
    return ms < 10000 ? `${whole(Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
  };
  const figure = (value) => (value === null || value === undefined ? '–' : String(Math.round(value * 1000) / 1000));
  const valueText = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2));
  const mark = (outcome) =>
    make('span', { class: `mark ${outcome}` }, make('span', { 'aria-hidden': 'true', text: SIGNS[outcome] }), outcome);

  function answerText(answer) {
    if (!answer) return '';
    const parts = answer.text ? [answer.text] : [];
    if (!parts.length && answer.output !== undefined) parts.push(valueText(answer.output));
    if (typeof answer.refusal === 'string' && answer.refusal !== answer.text) parts.push(`refusal: ${answer.refusal}`);
    for (const call of answer.tool_calls || []) parts.push(`${call.name}(${call.arguments})`);
    return parts.join('\n');
  }

  // The runs

  function runSection(run, number) {
    const met = run.gate_met;
    const heading = make('h1', {}, said(run.suite));
    const facts = [
      run.created_at && new Date(run.created_at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }),
      run.duration_s !== null && `took ${run.duration_s < 60 ? `${run.duration_s.toFixed(1)} s` : `${whole(Math.round(run.duration_s / 60))} min`}`,
      run.commit && `commit ${run.commit.slice(0, 10)}${run.dirty ? ', with changes' : ''}`,
      run.user && `by ${run.user}`,
      `run ${run.id.slice(0, 13)}`,
      run.suite_file,
    ].filter(Boolean);
    const grids = make('div', { class: 'grids' });
    if (run.checks.length) grids.append(checksTable(run));
    if (run.targets.length) grids.append(targetsTable(run, number));
    if (grids.childElementCount < 2) grids.classList.add('one');
    return make(
      'section',
      { class: 'run' },
      make('div', { class: 'run-head' }, heading, make('span', { class: `verdict ${met ? 'met' : 'missed'}`, text: verdictOf(run) })),
      said(run.sentence, 'p', 'sentence'),
      make('p', { class: 'meta' }, ...facts.map((fact) => said(fact))),
      ...run.shown.judged.slice(0, 20).map((judged) => make('p', { class: 'meta' }, said(judgedText(judged)))),
      ...flipsParts(run, number),
      split(run.counts, ''),
      tiles(run),
      grids,
      comparedPart(run),
      figuresPart(run),
      trendSection(run),
    );
  }

  // How sure it is: flips since the baseline, figures beside it, intervals, and who judged

  const FLIPS = 10;
  const VERDICTS = { improved: 'ok', regressed: 'no', inconclusive: 'unsure' };

  function judgedText({ metric, judge, agreement, engine, settings }) {
    const facts = [agreement, engine && `engine ${engine}`, settings && `settings ${settings.slice(0, 12)}`].filter(Boolean);
    return `${judge ? `${judge} on ${metric}` : metric}: ${facts.join(' · ')}`;
  }

  function flipsParts(run, number) {
    const held = run.shown.held;
    if (!held) return [];
    return ['broke', 'mended'].filter((side) => held[side]).map((side) => flipsPart(held, number, side));
  }

  /** The cases that came out differently: a link to each, with its reason, and a button that lists them below. */
  function flipsPart(held, number, side) {
    const flips = held.pairings.flatMap((pairing) => pairing.flips.filter((flip) => flip.side === side));
    const title = make('h3', {}, side === 'broke' ? 'Broke since ' : 'Mended since ', said(held.named), `: ${whole(held[side])}`);
    const list = make('ul', { class: 'flips' }, ...flips.slice(0, FLIPS).map((flip) => flipLine(flip, number, held.pairings.length > 1)));
    const more = held[side] - Math.min(flips.length, FLIPS);
    const button = make('button', { type: 'button', class: 'quiet', text: more > 0 ? `… and ${whole(more)} more: list them below` : 'List them below' });
    button.addEventListener('click', () => {
      state.since = side;
      update();
      byId('list').scrollIntoView({ block: 'start' });
    });
    return make('div', { class: `since ${side}` }, title, list, rows.some((row) => row.since === side) ? button : null);
  }

  function flipLine(flip, number, isNamed) {
    const found = rows.filter((row) => row.run === number && row.since === flip.side && row.case.id === flip.case && `${row.prompt} · ${row.model}` === flip.target);
    const row = found.find((each) => each.outcome !== 'pass') || found[0];
    const name = row ? make('a', { href: `#case=${row.index}`, dir: 'auto', text: flip.case }) : said(flip.case);
    const change = /^(pass → fail|fail → pass)$/.test(flip.change) ? null : ` ${flip.change}`;
    const why = row && flip.side === 'broke' && row.reason ? [': ', ...reasonPieces(row, 200)] : [];
    return make('li', {}, name, isNamed ? ' · ' : null, isNamed ? said(flip.target) : null, change, ...why);
  }

  function comparedPart(run) {
    const held = run.shown.held;
    if (!held) return null;
    const isNamed = held.pairings.length > 1;
    const body = make('tbody');
    const notes = held.new_prompts.map((prompt) => `${prompt} is new, and is compared with nothing`);
    for (const { target, figures, refused, unmatched } of held.pairings) {
      if (isNamed && figures.length) body.append(groupRow(target, 5));
      for (const one of figures) {
        const difference = make('td', { class: 'number' }, one.difference, make('small', { text: one.interval }));
        const means = [one.baseline, one.now].map((text) => make('td', { class: 'number', text }));
        body.append(make('tr', {}, make('td', {}, said(one.name)), ...means, difference, make('td', { class: VERDICTS[one.kind] || '', text: one.verdict })));
      }
      const of = isNamed ? `${target}: ` : '';
      for (const [name, why] of Object.entries(refused)) notes.push(`${of}${name} is not compared: ${why}`);
      for (const { said: how, cases, more } of unmatched) notes.push(`${of}${how}: ${[...cases, ...(more ? [`${whole(more)} more`] : [])].join(', ')}`);
    }
    const names = ['Figure', [held.named, 'number'], ['Now', 'number'], [`Difference, ${held.confidence} interval`, 'number'], 'Verdict'];
    const table = body.childElementCount ? make('table', { class: 'small-table' }, header(names), body) : make('p', { text: 'Nothing could be compared.' });
    const heading = make('h3', {}, 'Against ', said(held.named));
    return make('div', { class: 'compared' }, heading, table, ...notes.map((note) => said(note, 'p', 'meta')));
  }

  /** A row that says of which prompt and model those below are. */
  const groupRow = (name, columns) => make('tr', {}, make('th', { scope: 'rowgroup', colspan: String(columns) }, said(name)));

  function figuresPart(run) {
    const { figures, repeats, confidence } = run.shown;
    if (!figures.length && !repeats.length) return null;
    const body = make('tbody');
    let target = '';
    for (const row of figures) {
      if (row.target !== target) body.append(groupRow(row.target, 4));
      target = row.target;
      const numbers = [row.value, row.interval, row.cases].map((text) => make('td', { class: 'number', text }));
      body.append(make('tr', {}, make('td', {}, said(row.name)), ...numbers));
    }
    const names = ['Figure', ['Value', 'number'], [`${confidence} interval`, 'number'], ['Cases', 'number']];
    const lines = repeats.map((row) => said(`${row.target ? `${row.target}: ` : ''}${row.figures.map(([name, value]) => `${name} ${value}`).join(' · ')}`, 'p', 'meta'));
    return make('div', { class: 'figures' }, make('h3', { text: 'Figures with intervals' }), make('table', { class: 'small-table' }, header(names), body), ...lines);
  }

  // The trend: a plot for the pass rate and one for each metric, over the stored runs of the suite

  const WIDE = 640;
  const HIGH = 150;
  const EDGE = { left: 46, right: 12, top: 10, bottom: 24 };

  function draw(tag, attributes, text) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function trendSection(run) {
    const points = run.trend || [];
    if (points.length < 2) return null;
    const section = make('div', { class: 'trend' }, make('h3', { text: 'Trend' }));
    section.append(trendPlot(run, points, 'Pass rate', (point) => point.pass_rate, percent));
    const names = [...new Set(points.flatMap((point) => Object.keys(point.metrics)))].slice(0, 6);
    for (const name of names) {
      const known = points.filter((point) => point.metrics[name] && point.metrics[name].estimate !== null);
      if (known.length > 1) section.append(trendPlot(run, known, name, (point) => point.metrics[name], figure));
    }
    return section;
  }

  function trendPlot(run, points, name, of, shown) {
    const rows = points.map((point) => {
      const { estimate, lower, upper } = of(point);
      return { point, estimate, lower: lower ?? estimate, upper: upper ?? estimate };
    });
    let low = Math.min(...rows.map((row) => row.lower));
    let high = Math.max(...rows.map((row) => row.upper));
    if (low === high) [low, high] = [low - 0.05, high + 0.05];
    const x = (index) => EDGE.left + (index / (rows.length - 1)) * (WIDE - EDGE.left - EDGE.right);
    const y = (value) => EDGE.top + (1 - (value - low) / (high - low)) * (HIGH - EDGE.top - EDGE.bottom);
    const first = shown(rows[0].estimate);
    const last = shown(rows[rows.length - 1].estimate);
    const label = `${name}: ${rows.length} runs, from ${first} to ${last}`;
    const plot = draw('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': label, direction: 'ltr' });
    for (const value of [low, (low + high) / 2, high]) {
      plot.append(draw('line', { class: 'grid', x1: EDGE.left, x2: WIDE - EDGE.right, y1: y(value), y2: y(value) }));
      plot.append(draw('text', { x: EDGE.left - 6, y: y(value) + 4, 'text-anchor': 'end' }, shown(value)));
    }
    plot.append(draw('polyline', { class: 'line', points: rows.map((row, index) => `${x(index)},${y(row.estimate)}`).join(' ') }));
    rows.forEach((row, index) => {
      const at = x(index);
      plot.append(draw('line', { class: 'range', x1: at, x2: at, y1: y(row.lower), y2: y(row.upper) }));
      const dot = draw('circle', { class: row.point.id === run.id ? 'dot now' : 'dot', cx: at, cy: y(row.estimate), r: row.point.id === run.id ? 5 : 3.5 });
      dot.append(draw('title', {}, `${trendDate(row.point)} · ${trendCommit(row.point)}: ${shown(row.estimate)} (${shown(row.lower)} to ${shown(row.upper)})`));
      plot.append(dot);
    });
    plot.append(draw('text', { x: EDGE.left, y: HIGH - 6 }, `${trendDate(rows[0].point)} · ${trendCommit(rows[0].point)}`));
    const end = rows[rows.length - 1].point;
    plot.append(draw('text', { x: WIDE - EDGE.right, y: HIGH - 6, 'text-anchor': 'end' }, `${trendDate(end)} · ${trendCommit(end)}`));
    return make('figure', {}, make('figcaption', {}, said(name)), plot);
  }

  const trendDate = (point) => new Date(point.at).toLocaleDateString(undefined, { dateStyle: 'medium' });
  const trendCommit = (point) => (point.commit ? `${point.commit.slice(0, 8)}${point.dirty ? '+' : ''}` : 'no commit');

  function verdictOf(run) {
    if (run.gate_met) return `✓ ${run.met_words[0].toUpperCase()}${run.met_words.slice(1)}`;
    if (run.status !== 'finished') return `✗ ${run.status === 'running' ? 'No end' : run.status[0].toUpperCase() + run.status.slice(1)}`;
    return `✗ ${{ 2: 'Cannot be judged', 3: 'Provider failed', 5: 'Nothing judged', 6: 'Inconclusive' }[run.exit_code] || 'Gate missed'}`;
  }

  function split(counts, kind) {
    const label = OUTCOMES.filter((outcome) => counts[outcome]).map((outcome) => `${counts[outcome]} ${outcome}`).join(', ');
    const bar = make('div', { class: `split ${kind}`, role: 'img', 'aria-label': label || 'no cases', title: label });
    for (const outcome of ['pass', 'fail', 'error', 'unscored', 'skipped']) {
      if (!counts[outcome]) continue;
      const part = make('i', { class: outcome });
      part.style.flexGrow = counts[outcome];
      bar.append(part);
    }
    return bar;
  }

  function tiles(run) {
    const tile = (name, value, note) => make('div', {}, make('dt', { text: name }), make('dd', {}, value, note ? make('small', { text: note }) : null));
    const counts = OUTCOMES.filter((outcome) => run.counts[outcome] && outcome !== 'pass').map((outcome) => `${whole(run.counts[outcome])} ${outcome}`);
    const sure = run.shown.figures.find((row) => !row.target);
    const list = make(
      'dl',
      { class: 'tiles' },
      tile('Pass rate', percent(run.pass_rate), `${whole(run.counts.pass || 0)} of ${whole(run.cases)}${sure ? `; ${run.shown.confidence} interval ${sure.interval}` : ''}`),
      tile('Not passed', whole(run.cases - (run.counts.pass || 0)), counts.join(', ') || 'none'),
      tile('Cost', run.unpriced ? `${dollars(run.known_cost_usd)} +` : dollars(run.cost_usd), costNote(run)),
      tile('Median latency', time(run.latency_ms.p50), `95 % within ${time(run.latency_ms.p95)}`),
      tile('Tokens', whole((run.input_tokens || 0) + (run.output_tokens || 0)), `${whole(run.input_tokens || 0)} in, ${whole(run.output_tokens || 0)} out`),
    );
    for (const [name, value] of Object.entries(run.metrics).slice(0, 12)) {
      const one = tile(name, figure(value), 'mean');
      one.firstChild.dir = 'auto';
      list.append(one);
    }
    return list;
  }

  function costNote(run) {
    const notes = [run.unpriced ? `${whole(run.unpriced)} without a known price` : '', run.saved_usd ? `${dollars(run.saved_usd)} saved` : ''];
    return notes.filter(Boolean).join(', ');
  }

  function checksTable(run) {
    const body = make('tbody');
    for (const check of run.checks) {
      const [sign, word, kind] = !check.met ? ['✗', 'missed', 'no'] : check.inconclusive ? ['?', 'unsure', 'unsure'] : ['✓', 'met', 'ok'];
      body.append(
        make(
          'tr',
          {},
          make('td', { class: kind, text: sign, 'aria-label': word }),
          make('td', {}, said(check.scope ? `${check.scope}: ${check.name}` : check.name)),
          make('td', { class: check.met ? '' : 'no' }, said(check.found), check.note ? make('small', { class: 'said' }, said(` (${check.note})`)) : null),
          make('td', { text: check.wanted }),
        ),
      );
    }
    return make('div', {}, make('h3', { text: 'Gate' }), make('table', { class: 'small-table' }, header(['', 'Limit', 'Found', 'Wanted']), body));
  }

  function targetsTable(run, number) {
    const body = make('tbody');
    for (const target of run.targets.slice(0, 200)) {
      const row = make(
        'tr',
        {},
        make('td', {}, said(target.prompt)),
        make('td', {}, said(target.model)),
        make('td', { class: 'wide' }, split(target.counts, 'small')),
        make('td', { class: 'number', text: percent(target.pass_rate) }),
        make('td', { class: 'number wide', text: dollars(target.cost_usd) }),
        make('td', { class: 'number wide', text: time(target.latency_ms.p95) }),
      );
      body.append(row);
    }
    const names = ['Prompt', 'Model', ['Outcomes', 'wide'], ['Passed', 'number'], ['Cost', 'number wide'], ['p95', 'number wide']];
    return make('div', { 'data-run': String(number) }, make('h3', { text: 'Prompts and models' }), make('table', { class: 'small-table' }, header(names), body));
  }

  function header(names) {
    const cells = names.map((name) => (Array.isArray(name) ? make('th', { scope: 'col', class: name[1], text: name[0] }) : make('th', { scope: 'col', text: name })));
    return make('thead', {}, make('tr', {}, ...cells));
  }

  // Filters and search

  const state = { words: [], outcomes: new Set(), suite: '', prompt: '', model: '', tag: '', since: '', sort: null, down: false, page: 0 };
  const collator = new Intl.Collator(undefined, { numeric: true });
  const MARKS = /[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u200c-\u200f\u2066-\u2069]/g;
  const LETTERS = { ى: 'ي', ی: 'ي', ة: 'ه', ک: 'ك', ٱ: 'ا', ß: 'ss', ς: 'σ' };

  /** The form in which words are compared: no case, no diacritics, one form for each letter and digit. */
  function fold(text) {
    if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
    return text
      .normalize('NFKD')
      .toLowerCase()
      .replace(MARKS, '')
      .replace(/[ىیةکٱßς]/g, (letter) => LETTERS[letter])
      .replace(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
      .replace(/[\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0));
  }

  function strings(value, into) {
    if (typeof value === 'string') into.push(value);
    else if (typeof value === 'number' || typeof value === 'boolean') into.push(String(value));
    else if (Array.isArray(value)) for (const part of value) strings(part, into);
    else if (value) for (const part of Object.values(value)) strings(part, into);
    return into;
  }

  function haystack(row) {
    if (row.folded === undefined) {
      const { case: given, said: answer, reason, error, scores, earlier_answers: earlier } = row;
      row.folded = fold(strings([row.title, row.prompt, row.model, row.suite, given, answer, reason, error, scores, earlier], []).join('\n'));
    }
    return row.folded;
  }

  /** Words are searched for one by one; what stands in quotes, as it stands. */
  function wordsOf(text) {
    return [...fold(text).matchAll(/"([^"]+)"?|(\S+)/g)].map((match) => match[1] || match[2]).filter((word) => word !== '"');
  }

  const takes = {
    outcome: (row) => !state.outcomes.size || state.outcomes.has(row.outcome),
    suite: (row) => !state.suite || row.suite === state.suite,
    prompt: (row) => !state.prompt || row.prompt === state.prompt,
    model: (row) => !state.model || row.model === state.model,
    tag: (row) => !state.tag || (row.case.tags || []).includes(state.tag),
    since: (row) => !state.since || row.since === state.since,
    words: (row) => state.words.every((word) => haystack(row).includes(word)),
  };
  const takesRow = (row, except) => Object.entries(takes).every(([name, take]) => name === except || take(row));

  const COLUMNS = [
    { name: 'outcome', title: 'Outcome', of: (row) => OUTCOMES.indexOf(row.outcome) },
    { name: 'case', title: 'Case', of: (row) => row.title },
    { name: 'suite', title: 'Suite', of: (row) => row.suite },
    { name: 'prompt', title: 'Prompt', of: (row) => row.prompt },
    { name: 'model', title: 'Model', of: (row) => row.model },
    { name: 'answer', title: 'Reason and answer', of: (row) => row.reason || row.said },
    { name: 'score', title: 'Score', number: true, of: (row) => row.score },
    { name: 'latency', title: 'Latency', number: true, of: (row) => row.latency_ms },
    { name: 'cost', title: 'Cost', number: true, of: (row) => row.cost_usd },
  ].filter((column) => !['suite', 'prompt', 'model'].includes(column.name) || new Set(rows.map((row) => row[column.name])).size > 1);

  function compare(one, other) {
    const column = COLUMNS.find((each) => each.name === state.sort);
    if (!column) return OUTCOMES.indexOf(one.outcome) - OUTCOMES.indexOf(other.outcome) || one.index - other.index;
    const [a, b] = [column.of(one), column.of(other)];
    const [noA, noB] = [a === null || a === undefined || a === '', b === null || b === undefined || b === ''];
    if (noA || noB) return noA - noB || one.index - other.index; // what is not known comes last, whatever the order
    const order = typeof a === 'number' ? a - b : collator.compare(a, b);
    return (state.down ? -order : order) || one.index - other.index;
  }

  let shown = rows;

  function update({ keepPage = false } = {}) {
    shown = rows.filter((row) => takesRow(row)).sort(compare);
    if (!keepPage) state.page = 0;
    renderChips();
    renderTable();
  }

  /** The filters for what came out differently than at the baseline; absent where nothing did. */
  function renderSince() {
    const chips = byId('since');
    const names = [...new Set(runs.filter((run) => run.shown.held).map((run) => run.shown.held.named))];
    const baseline = names.length === 1 ? names[0] : 'baseline';
    if (!chips.childElementCount) {
      for (const side of ['broke', 'mended']) {
        if (!rows.some((row) => row.since === side)) continue;
        const chip = make('button', { type: 'button', class: side, 'data-since': side });
        chip.addEventListener('click', () => {
          state.since = state.since === side ? '' : side;
          update();
        });
        chips.append(chip);
      }
    }
    for (const chip of chips.children) {
      const { since } = chip.dataset;
      const count = rows.filter((row) => row.since === since && takesRow(row, 'since')).length;
      chip.setAttribute('aria-pressed', String(state.since === since));
      chip.replaceChildren(`${since === 'broke' ? '▼' : '▲'} ${since} since `, said(baseline), ` ${whole(count)}`);
    }
    chips.hidden = !chips.childElementCount;
  }

  function renderChips() {
    renderSince();
    const counts = {};
    for (const row of rows) if (takesRow(row, 'outcome')) counts[row.outcome] = (counts[row.outcome] || 0) + 1;
    const present = OUTCOMES.filter((outcome) => rows.some((row) => row.outcome === outcome));
    const chips = byId('outcomes');
    if (!chips.childElementCount) {
      for (const outcome of present) {
        const chip = make('button', { type: 'button', class: outcome, 'aria-pressed': 'false', 'data-outcome': outcome });
        chip.addEventListener('click', () => {
          if (!state.outcomes.delete(outcome)) state.outcomes.add(outcome);
          update();
        });
        chips.append(chip);
      }
    }
    for (const chip of chips.children) {
      const { outcome } = chip.dataset;
      chip.setAttribute('aria-pressed', String(state.outcomes.has(outcome)));
      chip.textContent = `${SIGNS[outcome]} ${outcome} ${whole(counts[outcome] || 0)}`;
    }
    byId('reset').hidden = !(state.words.length || state.outcomes.size || state.suite || state.prompt || state.model || state.tag || state.since);
  }

  // The table, a page at a time

  function renderHeader() {
    const row = byId('cases').tHead.rows[0];
    row.replaceChildren();
    for (const column of COLUMNS) {
      const direction = state.sort === column.name ? (state.down ? 'descending' : 'ascending') : 'none';
      const button = make('button', { type: 'button', 'data-sort': column.name, text: column.title + { ascending: ' ↑', descending: ' ↓', none: '' }[direction] });
      button.addEventListener('click', () => sortBy(column.name));
      row.append(make('th', { scope: 'col', class: `col-${column.name}${column.number ? ' number' : ''}`, 'aria-sort': direction }, button));
    }
  }

  function sortBy(name) {
    if (state.sort !== name) [state.sort, state.down] = [name, false];
    else if (!state.down) state.down = true;
    else [state.sort, state.down] = [null, false];
    renderHeader();
    update();
    byId('cases').querySelector(`[data-sort="${name}"]`).focus();
  }

  function renderTable(count = PAGE) {
    const first = count === PAGE ? state.page * PAGE : 0;
    const body = byId('cases').tBodies[0];
    const part = shown.slice(first, first + count);
    body.replaceChildren(...part.map(tableRow));
    if (!part.length) body.append(make('tr', {}, make('td', { class: 'nothing', colspan: String(COLUMNS.length), text: rows.length ? 'No case is like that.' : 'There is no case in this report.' })));
    const pages = Math.ceil(shown.length / PAGE);
    byId('pages').hidden = pages < 2;
    byId('page-before').disabled = state.page === 0;
    byId('page-after').disabled = state.page >= pages - 1;
    byId('page-now').textContent = `${whole(first + 1)}–${whole(first + part.length)} of ${whole(shown.length)}`;
    byId('found').textContent = shown.length === rows.length ? `${whole(rows.length)} results` : `${whole(shown.length)} of ${whole(rows.length)} results`;
  }

  function tableRow(row) {
    const cells = {
      outcome: () => mark(row.outcome),
      case: () => make('a', { href: `#case=${row.index}`, dir: 'auto', class: 'clip', title: row.title, text: row.title }),
      suite: () => said(row.suite, 'span', 'clip'),
      prompt: () => said(row.prompt, 'span', 'clip'),
      model: () => said(row.model, 'span', 'clip'),
      answer: () => make('div', {}, row.outcome !== 'pass' && row.reason ? make('span', { class: 'clip why' }, ...reasonPieces(row, 300)) : null, row.said ? said(row.said.slice(0, 300), 'span', 'clip said') : null),
      score: () => figure(row.score),
      latency: () => time(row.latency_ms),
      cost: () => (row.cost_usd === undefined ? 'not known' : dollars(row.cost_usd)),
    };
    const line = make('tr', { 'data-index': String(row.index) });
    for (const column of COLUMNS) {
      const value = column.of(row);
      const isKnown = !column.number || (value !== null && value !== undefined);
      line.append(make('td', { class: `col-${column.name}${column.number ? ' number' : ''}${isKnown ? '' : ' unknown'}` }, cells[column.name]()));
    }
    return line;
  }

  function turnPage(step) {
    state.page = Math.max(0, Math.min(Math.ceil(shown.length / PAGE) - 1, state.page + step));
    renderTable();
    byId('list').focus({ preventScroll: true });
    byId('list').scrollIntoView({ block: 'start' });
  }

  // One case

  const dialog = byId('case');
  let open = null;

  function show(row) {
    open = row;
    const place = shown.indexOf(row);
    byId('case-outcome').replaceChildren(mark(row.outcome));
    byId('case-title').textContent = row.title;
    byId('case-place').textContent = place < 0 ? '' : `${whole(place + 1)} of ${whole(shown.length)}`;
    byId('case-before').disabled = place <= 0;
    byId('case-after').disabled = place < 0 || place >= shown.length - 1;
    byId('case-body').replaceChildren(...caseParts(row));
    byId('case-body').scrollTop = 0;
    if (!dialog.open) {
      dialog.showModal();
      byId('case-title').focus();
    }
  }

  function caseParts(row) {
    const parts = [make('p', { class: 'facts' }, ...factsOf(row))];
    if (row.outcome !== 'pass') {
      if (row.error) parts.push(said(row.error.message + (row.error.hint ? `\nhint: ${row.error.hint}` : ''), 'p', `banner ${row.outcome}`));
      else if (row.reason) parts.push(make('p', { class: `banner ${row.outcome}` }, ...reasonPieces(row)));
    }
    parts.push(expectedPart(row), scoresPart(row), turnsPart(row), answerPart(row), inputsPart(row), morePart(row), againPart(row));
    return parts.filter(Boolean);
  }

  const section = (title, ...children) => make('section', {}, make('h3', { text: title }), ...children);
  const box = (value) => said(valueText(value), 'pre', typeof value === 'string' ? 'text' : 'text code');

  /** The name of a score and what it found, each in its own direction. */
  function reasonPieces(row, limit = Infinity) {
    const names = (row.scores || []).map((score) => `${score.name}: `);
    const name = names.find((each) => row.reason.startsWith(each)) || '';
    return [name ? said(name) : null, said(row.reason.slice(name.length, limit))].filter(Boolean);
  }

  function factsOf(row) {
    const since = runs[row.run].shown.held;
    const usage = (row.answer && row.answer.usage) || {};
    const tokens = usage.input_tokens || usage.output_tokens ? `${whole(usage.input_tokens || 0)} in, ${whole(usage.output_tokens || 0)} out` : null;
    const facts = [
      ['prompt', row.prompt],
      ['model', row.answer && row.answer.model && !row.model.endsWith(row.answer.model) ? `${row.model} (${row.answer.model})` : row.model],
      ['suite', runs.length > 1 ? row.suite : null],
      ['score', row.score === undefined ? null : figure(row.score)],
      ['cost', row.cost_usd === undefined ? 'not known' : dollars(row.cost_usd)],
      ['judging', row.judge_usd ? dollars(row.judge_usd) : null],
      [`since ${since ? since.named : ''}`, row.change || null],
      ['latency', row.latency_ms === undefined ? null : time(row.latency_ms)],
      ['tokens', tokens],
      ['finish', row.answer && row.answer.finish_reason !== 'stop' ? row.answer.finish_reason : null],
      ['answer', row.reused ? 'of an earlier run' : row.cached ? 'from the cache' : null],
      ['at', row.case.file ? `${row.case.file}${row.case.line ? `:${row.case.line}` : ''}` : null],
    ];
    const shownFacts = facts.filter(([, value]) => value).map(([name, value]) => make('span', {}, `${name} `, said(value, 'b')));
    return [...shownFacts, ...(row.case.tags || []).map((tag) => said(tag, 'span', 'tag'))];
  }

  function expectedPart(row) {
    const expected = row.case.expected_output;
    if (expected === undefined || !row.answer) return expected === undefined ? null : section('Expected', box(expected));
    const found = comparable(expected, row.answer);
    return section(found.partly ? 'Expected and answered, as far as something is expected' : 'Expected and answered', difference(valueText(expected), valueText(found.value), typeof expected !== 'string'));
  }

  const isMap = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

  /** The part of an answer that an expected value speaks of: of a map, the keys that are expected, in that order. */
  function comparable(expected, answer) {
    let value = typeof expected === 'string' ? answer.text || answerText(answer) : answer.output;
    if (value === undefined) {
      try {
        value = JSON.parse(answer.text);
      } catch {
        value = answer.text || answerText(answer);
      }
    }
    if (!isMap(expected) || !isMap(value)) return { value, partly: false };
    const keys = Object.keys(expected).filter((key) => Object.hasOwn(value, key));
    return { value: Object.fromEntries(keys.map((key) => [key, value[key]])), partly: Object.keys(value).length > keys.length };
  }

  function scoresPart(row) {
    if (!row.scores) return null;
    const body = make('tbody');
    const judges = runs[row.run].judges || [];
    const makerOf = (score) => [
      score.engine ? `engine ${[score.engine, score.engine_version].filter(Boolean).join(' ')}` : null,
      score.judge ? `judge ${score.judge}` : null,
      score.settings_hash ? `settings ${score.settings_hash.slice(0, 12)}` : null,
      score.cost_usd === undefined || !score.judge ? null : dollars(score.cost_usd),
    ].filter(Boolean);
    const add = (score, depth) => {
      const judge = judges.find((each) => each.settings_hash === score.settings_hash && each.judge === score.judge);
      const reason = make('td', {}, score.reason ? said(score.reason, 'div') : make('span', { class: 'said', text: score.outcome === 'pass' ? '' : score.outcome }));
      if (score.expected !== undefined && score.outcome !== 'pass' && row.answer) reason.append(comparison(score, row));
      const maker = [...makerOf(score), ...(judge ? [judge.agreement] : [])];
      if (maker.length) reason.append(make('div', { class: 'meta' }, ...maker.map((fact) => said(fact))));
      const numbers = [score.score === undefined ? null : figure(score.score), score.threshold === undefined ? null : `needs ${figure(score.threshold)}`, score.weight === undefined || score.weight === 1 ? null : `weight ${figure(score.weight)}`];
      body.append(make('tr', {}, make('td', { class: 'score-outcome' }, mark(score.outcome)), make('td', { class: `score-name depth-${Math.min(depth, 3)}` }, said(score.metric ? `${score.name} (${score.metric})` : score.name)), make('td', { class: 'number', text: numbers.filter(Boolean).join(', ') }), reason));
      for (const child of score.children || []) add(child, depth + 1);
    };
    for (const score of row.scores) add(score, 0);
    return section('Scores', make('table', { class: 'scores' }, body));
  }

  function comparison(score, row) {
    const details = make('details', {}, make('summary', { text: 'Compare with the answer' }));
    details.addEventListener('toggle', () => {
      if (details.open && details.childElementCount === 1) {
        const actual = score.actual === undefined ? comparable(score.expected, row.answer).value : score.actual;
        details.append(difference(valueText(score.expected), valueText(actual), typeof score.expected !== 'string'));
      }
    });
    return details;
  }

  function turnsPart(row) {
    if (!row.earlier_answers) return null;
    const turns = row.earlier_answers.map((answer, index) => make('div', { class: 'turn' }, make('h3', { text: `Turn ${index + 1}` }), ...turnInputs(row, index), box(answerText(answer))));
    return section('Earlier turns', ...turns);
  }

  function turnInputs(row, index) {
    const turn = (row.case.turns || [])[index];
    return turn && turn.inputs && Object.keys(turn.inputs).length ? [pairs(turn.inputs)] : [];
  }

  function messagesPart(answer) {
    const whole = make('details', { class: 'raw' }, make('summary', { text: 'What was asked' }));
    whole.addEventListener('toggle', () => {
      if (!whole.open || whole.childElementCount > 1) return;
      for (const message of answer.messages) whole.append(make('h4', { text: message.role }), box(message.content));
    });
    return whole;
  }

  function answerPart(row) {
    if (!row.answer) return null;
    const answer = row.answer;
    const parts = turnInputs(row, (row.earlier_answers || []).length);
    if (answer.output !== undefined) {
      parts.push(box(answer.output));
      if (answer.text && typeof answer.output !== 'string') parts.push(make('details', { class: 'raw' }, make('summary', { text: 'As it came' }), box(answer.text)));
    } else if (answer.text || !answer.tool_calls) parts.push(box(answer.text || ''));
    if (typeof answer.refusal === 'string') parts.push(said(`Refusal: ${answer.refusal}`, 'p'));
    if (answer.tool_calls) parts.push(make('h3', { text: 'Tool calls' }), ...answer.tool_calls.map((call) => box(`${call.name}(${call.arguments})`)));
    if (answer.messages) parts.push(messagesPart(answer));
    return section(row.earlier_answers ? `Answer, turn ${row.earlier_answers.length + 1}` : 'Answer', ...parts);
  }

  const pairs = (values) => make('dl', { class: 'pairs' }, ...Object.entries(values).flatMap(([name, value]) => [make('dt', {}, said(name)), make('dd', {}, box(value))]));
  const inputsPart = (row) => (row.case.inputs ? section('Inputs', pairs(row.case.inputs)) : null);

  function morePart(row) {
    const more = {};
    if (row.case.context) more.context = row.case.context;
    if (row.case.retrieval_context) more['retrieved context'] = row.case.retrieval_context;
    if (row.case.expected_tools) more['expected tools'] = row.case.expected_tools;
    if (row.case.metadata) more.metadata = row.case.metadata;
    if (row.metrics) more.metrics = row.metrics;
    if (row.request_id) more.request = row.request_id;
    return Object.keys(more).length ? section('More', pairs(more)) : null;
  }

  function againPart(row) {
    const text = said(row.again, 'pre', 'text code');
    const button = make('button', { type: 'button', text: 'Copy' });
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(row.again);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(text); // no clipboard here: it can be copied by hand
      }
    });
    return section('Run it again', make('div', { class: 'again' }, text, button));
  }

  // Two texts, word by word

  const MAX_WORDS = 20000;
  const MAX_STEPS = 600;
  const segmenter = typeof Intl.Segmenter === 'function' ? new Intl.Segmenter(undefined, { granularity: 'word' }) : null;

  function tokens(text) {
    if (!segmenter || text.length > 50000) return text.match(/\s+|[^\s]+/g) || [];
    return Array.from(segmenter.segment(text), (part) => part.segment);
  }

  function difference(expected, actual, isCode) {
    const left = make('pre', { dir: 'auto', class: `text ${isCode ? 'code' : ''}` });
    const right = make('pre', { dir: 'auto', class: `text ${isCode ? 'code' : ''}` });
    for (const [kind, text] of changes(tokens(expected), tokens(actual))) {
      if (kind !== 'added') left.append(kind === 'same' ? text : make('del', { text }));
      if (kind !== 'removed') right.append(kind === 'same' ? text : make('ins', { text }));
    }
    return make('div', { class: 'pair' }, make('div', {}, make('h4', { text: 'Expected' }), left), make('div', {}, make('h4', { text: 'Answered' }), right));
  }

  /** What became of the words of one text in the other, as [same | removed | added, text]. */
  function changes(one, other) {
    let start = 0;
    while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
    let end = 0;
    while (end < one.length - start && end < other.length - start && one[one.length - 1 - end] === other[other.length - 1 - end]) end += 1;
    const middle = shortest(one.slice(start, one.length - end), other.slice(start, other.length - end));
    return joined([...one.slice(0, start).map((text) => ['same', text]), ...middle, ...one.slice(one.length - end).map((text) => ['same', text])]);
  }

  /** The shortest way from one list to the other (Myers 1986); where it is very long, everything counts as changed. */
  function shortest(one, other) {
    const replaced = () => [...one.map((text) => ['removed', text]), ...other.map((text) => ['added', text])];
    if (!one.length || !other.length || one.length + other.length > MAX_WORDS) return replaced();
    const furthest = new Map([[1, 0]]);
    const trace = [];
    for (let steps = 0; steps <= Math.min(MAX_STEPS, one.length + other.length); steps += 1) {
      trace.push(new Map(furthest));
      for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
        const goesDown = diagonal === -steps || (diagonal !== steps && furthest.get(diagonal - 1) < furthest.get(diagonal + 1));
        let x = goesDown ? furthest.get(diagonal + 1) : furthest.get(diagonal - 1) + 1;
        while (x < one.length && x - diagonal < other.length && one[x] === other[x - diagonal]) x += 1;
        furthest.set(diagonal, x);
        if (x >= one.length && x - diagonal >= other.length) return walkedBack(one, other, trace);
      }
    }
    return replaced();
  }

  function walkedBack(one, other, trace) {
    const found = [];
    let [x, y] = [one.length, other.length];
    for (let steps = trace.length - 1; steps >= 0; steps -= 1) {
      const furthest = trace[steps];
      const diagonal = x - y;
      const cameDown = diagonal === -steps || (diagonal !== steps && furthest.get(diagonal - 1) < furthest.get(diagonal + 1));
      const from = cameDown ? diagonal + 1 : diagonal - 1;
      const [beforeX, beforeY] = steps ? [furthest.get(from), furthest.get(from) - from] : [0, 0];
      while (x > beforeX && y > beforeY) {
        x -= 1;
        y -= 1;
        found.push(['same', one[x]]);
      }
      if (steps) found.push(cameDown ? ['added', other[beforeY]] : ['removed', one[beforeX]]);
      [x, y] = [beforeX, beforeY];
    }
    return found.reverse();
  }

  function joined(parts) {
    const found = [];
    for (const [kind, text] of parts) {
      if (found.length && found[found.length - 1][0] === kind) found[found.length - 1][1] += text;
      else found.push([kind, text]);
    }
    return found;
  }

  // What the reader does

  function debounced(action, ms) {
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(action, ms);
    };
  }

  function fillPick(name, values) {
    const pick = byId(`pick-${name}`);
    const list = [...new Set(values)].sort(collator.compare);
    if (list.length < (name === 'tag' ? 1 : 2)) return;
    pick.append(make('option', { value: '', text: 'all' }), ...list.slice(0, 2000).map((value) => make('option', { value: `=${value}`, text: value })));
    pick.addEventListener('change', () => {
      state[name] = pick.value.slice(1);
      update();
    });
    pick.parentElement.hidden = false;
  }

  function openFromAddress() {
    const match = /^#case=(\d+)$/.exec(location.hash);
    const row = match && rows[Number(match[1])];
    if (row) show(row);
    else if (dialog.open) dialog.close();
  }

  function move(step) {
    const next = shown[shown.indexOf(open) + step];
    if (!next) return;
    history.replaceState(null, '', `#case=${next.index}`);
    show(next);
  }

  function closed() {
    const row = open;
    open = null;
    if (location.hash.startsWith('#case=')) history.replaceState(null, '', '#list');
    const place = shown.indexOf(row);
    if (place < 0) return;
    if (Math.floor(place / PAGE) !== state.page) {
      state.page = Math.floor(place / PAGE);
      renderTable();
    }
    const link = byId('cases').querySelector(`tr[data-index="${row.index}"] a`);
    if (link) link.focus();
  }

  function onKey(event) {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey || (isTyping && event.key !== 'Escape')) return;
    if (dialog.open) {
      if (event.key === 'ArrowLeft' || event.key === 'k') move(-1);
      else if (event.key === 'ArrowRight' || event.key === 'j') move(1);
      return;
    }
    if (event.key === '/') {
      event.preventDefault();
      byId('search').focus();
    }
    const line = event.target.closest && event.target.closest('#cases tbody tr');
    if (line && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      const next = event.key === 'ArrowDown' ? line.nextElementSibling : line.previousElementSibling;
      if (next && next.querySelector('a')) {
        event.preventDefault();
        next.querySelector('a').focus();
      }
    }
  }

  const THEMES = ['auto', 'light', 'dark'];
  function nextTheme() {
    const root = document.documentElement;
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme || 'auto') + 1) % THEMES.length];
    if (theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = theme;
    byId('theme').textContent = `Theme: ${theme}`;
  }

  function reset() {
    Object.assign(state, { words: [], outcomes: new Set(), suite: '', prompt: '', model: '', tag: '', since: '' });
    byId('search').value = '';
    for (const pick of document.querySelectorAll('.pick select')) pick.selectedIndex = 0;
    update();
    byId('search').focus();
  }

  function listen() {
    byId('search').addEventListener('input', debounced(() => {
      state.words = wordsOf(byId('search').value);
      update();
    }, rows.length > 2000 ? 200 : 60));
    byId('reset').addEventListener('click', reset);
    byId('theme').addEventListener('click', nextTheme);
    byId('print').addEventListener('click', () => window.print());
    byId('page-before').addEventListener('click', () => turnPage(-1));
    byId('page-after').addEventListener('click', () => turnPage(1));
    byId('cases').tBodies[0].addEventListener('click', (event) => {
      const line = event.target.closest('tr[data-index]');
      if (line && !event.target.closest('a') && !getSelection().toString()) location.hash = `#case=${line.dataset.index}`;
    });
    byId('case-before').addEventListener('click', () => move(-1));
    byId('case-after').addEventListener('click', () => move(1));
    byId('case-close').addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', closed);
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog) dialog.close(); // beside the case
    });
    document.addEventListener('keydown', onKey);
    window.addEventListener('hashchange', openFromAddress);
    window.addEventListener('beforeprint', () => renderTable(PRINTED));
    window.addEventListener('afterprint', () => renderTable());
  }

  /** Fold all texts while nothing else happens, so that the first search does not wait for it. */
  function foldAhead(from = 0) {
    const until = Math.min(from + 200, rows.length);
    for (let index = from; index < until; index += 1) haystack(rows[index]);
    if (until < rows.length) setTimeout(foldAhead, 20, until);
  }

  byId('runs').append(...runs.map(runSection));
  byId('made').textContent = 'Made by promptstudio. Everything is in this file; it asks no server for anything.';
  fillPick('suite', rows.map((row) => row.suite));
  fillPick('prompt', rows.map((row) => row.prompt));
  fillPick('model', rows.map((row) => row.model));
  fillPick('tag', rows.flatMap((row) => row.case.tags || []));
  renderHeader();
  update();
  listen();
  document.querySelector('main').hidden = false;
  openFromAddress();
  setTimeout(foldAhead, 300);
})();
