/* The living page without a network: thresholds, errors and searches over stored embeddings of people who do not exist. */
(() => {
  const data = window.aifrLiveData;
  if (!data) return;
  const SIDE = 48, SHOWN = 4, RANKED = 8, START_FAR = 0.01;
  const el = id => document.getElementById(id);
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const url = (text, type) => URL.createObjectURL(new Blob([bytes(text)], {type}));
  const percent = x => `${(100 * x).toFixed(x < 0.0995 ? 2 : 1)} %`;

  /* Rows of int8 as rows of length 1: the scale that each row was rounded with falls out. */
  function unit(text) {
    const stored = new Int8Array(bytes(text).buffer), out = new Float32Array(stored.length);
    for (let start = 0; start < out.length; start += data.width) {
      let square = 0;
      for (let k = start; k < start + data.width; k++) square += stored[k] * stored[k];
      for (let k = start; k < start + data.width; k++) out[k] = stored[k] / Math.sqrt(square);
    }
    return out;
  }
  const faces = unit(data.faceTable);
  const row = (person, age) => (person * data.ages.length + age) * data.width;
  function cosine(a, i, b, j) {
    let sum = 0;
    for (let k = 0; k < data.width; k++) sum += a[i + k] * b[j + k];
    return sum;
  }

  const sheet = url(data.facePictures, 'image/webp');
  function face(person, age, said, mark = '') {
    const at = person * data.ages.length + age, picture = document.createElement('span');
    picture.className = `live-face ${mark}`;
    picture.setAttribute('role', 'img');
    picture.setAttribute('aria-label', `Drawn face of person ${person + 1} at ${data.ages[age]} years`);
    picture.style.backgroundImage = `url(${sheet})`;
    picture.style.backgroundPosition =
      `${-SIDE * (at % data.columns)}px ${-SIDE * Math.floor(at / data.columns)}px`;
    const box = document.createElement('span');
    box.className = 'live-one';
    box.append(picture, said);
    return box;
  }
  function pair(one) {
    const box = document.createElement('span');
    box.className = 'live-pair';
    box.append(face(one.p, one.a, `${data.ages[one.a]} years`), face(one.q, one.b, `${data.ages[one.b]} years`));
    const said = document.createElement('span');
    said.textContent = `cosine ${one.score.toFixed(2)}`;
    box.append(said);
    return box;
  }

  /* All pairs of one person and of two people, whose pictures lie equally many years apart. */
  function pairsOf(gap) {
    const same = [], other = [], worst = [];
    for (let a = 0; a < data.ages.length; a++) for (let b = a + 1; b < data.ages.length; b++) {
      if (data.ages[b] - data.ages[a] !== gap) continue;
      for (let p = 0; p < data.people; p++) for (let q = 0; q < data.people; q++) {
        const score = cosine(faces, row(p, a), faces, row(q, b));
        if (p === q) { same.push({score, p, q, a, b}); continue; }
        other.push(score);
        if (worst.length < SHOWN || score > worst[worst.length - 1].score) {
          worst.push({score, p, q, a, b});
          worst.sort((x, y) => y.score - x.score);
          worst.length = Math.min(worst.length, SHOWN);
        }
      }
    }
    same.sort((x, y) => x.score - y.score);
    return {same, worst, genuine: Float32Array.from(same, one => one.score), other: Float32Array.from(other).sort()};
  }
  const gaps = [...new Set(data.ages.flatMap(a => data.ages.map(b => b - a)))].filter(g => g > 0).sort((a, b) => a - b);
  const lists = new Map(gaps.map(gap => [String(gap), pairsOf(gap)]));
  function joined() {
    const all = [...lists.values()];
    const flat = name => {
      const out = new Float32Array(all.reduce((sum, one) => sum + one[name].length, 0));
      let at = 0;
      for (const one of all) { out.set(one[name], at); at += one[name].length; }
      return out.sort();
    };
    const same = all.flatMap(one => one.same).sort((x, y) => x.score - y.score);
    const worst = all.flatMap(one => one.worst).sort((x, y) => y.score - x.score).slice(0, SHOWN);
    return {same, worst, genuine: flat('genuine'), other: flat('other')};
  }
  lists.set('all', joined());

  /* The share of sorted scores at or above the threshold. */
  function above(sorted, threshold) {
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < threshold) low = middle + 1; else high = middle;
    }
    return (sorted.length - low) / sorted.length;
  }
  const at = (sorted, far) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * (1 - far)))];

  /* Plots are drawn as SVG in the colours of the page. */
  const W = 360, H = 230, LEFT = 46, BOTTOM = 40, TOP = 10, RIGHT = 20;
  const across = x => LEFT + x * (W - LEFT - RIGHT), down = y => H - BOTTOM - y * (H - BOTTOM - TOP);
  const line = (points, cls) =>
    `<polyline class="${cls}" points="${points.map(([x, y]) => `${across(x).toFixed(1)},${down(y).toFixed(1)}`).join(' ')}"/>`;
  const word = (x, y, text, cls = '', anchor = 'middle') => `<text class="${cls}" x="${x}" y="${y}" text-anchor="${anchor}">${String(text).replace(/^-(?=[.\d])/, '−')}</text>`;
  function plot(parts, xs, ys, xlabel, ylabel, alt) {
    const ticks = xs.map(([x, t]) => word(across(x), H - BOTTOM + 14, t)).join('')
      + ys.map(([y, t]) => word(LEFT - 5, down(y) + 4, t, '', 'end') + line([[0, y], [1, y]], 'live-grid')).join('');
    return `<svg viewBox="0 0 ${W} ${H}" role="img" aria-label="${alt}">${ticks}${parts}
      ${word(across(0.5), H - 6, xlabel)}<text transform="translate(12 ${down(0.5)}) rotate(-90)" text-anchor="middle">${ylabel}</text></svg>`;
  }
  const percents = [0, 0.25, 0.5, 0.75, 1].map(y => [y, 100 * y]);

  const BINS = 60, LEAST = -0.5, place = score => (score - LEAST) / (1 - LEAST);
  function shape(sorted) {
    const counts = new Float64Array(BINS);
    for (const score of sorted) counts[Math.max(0, Math.min(BINS - 1, Math.floor(BINS * place(score))))]++;
    const most = Math.max(...counts);
    return Array.from(counts, (count, k) => [(k + 0.5) / BINS, count / most]);
  }
  function curve(list) {
    const points = [];
    for (let power = -4; power <= 0; power += 0.05) {
      const far = 10 ** power;
      points.push([1 + power / 4, above(list.genuine, at(list.other, far))]);
    }
    return points;
  }
  for (const list of lists.values()) Object.assign(list, {roc: curve(list), shapes: [shape(list.genuine), shape(list.other)]});

  const gap = el('live-gap'), slider = el('live-threshold');
  gap.innerHTML = `<option value="all">all together</option>${gaps.map(g => `<option value="${g}">${g}</option>`).join('')}`;

  function showThreshold() {
    const list = lists.get(gap.value), threshold = Number(slider.value);
    const tar = above(list.genuine, threshold), far = above(list.other, threshold);
    el('live-threshold-value').textContent = threshold.toFixed(3);
    slider.setAttribute('aria-valuetext', `${threshold.toFixed(3)}: TAR ${percent(tar)}, FAR ${percent(far)}`);
    el('live-said').innerHTML = `Of pairs of one person <b>${percent(tar)}</b> are accepted (TAR), `
      + `of pairs of two people <b>${percent(far)}</b> (FAR). Right about <b>${percent((tar + 1 - far) / 2)}</b> `
      + 'of as many pairs of each kind.';
    const mark = place(threshold);
    const [genuine, other] = list.shapes;
    el('live-histogram').innerHTML = plot(
      line(genuine, 'live-same') + line(other, 'live-other') + line([[mark, 0], [mark, 1]], 'live-mark'),
      [-0.5, 0, 0.5, 1].map(x => [place(x), x]), [], 'cosine of the two embeddings', 'pairs (highest = 1)',
      `Histogram of cosines with the threshold at ${threshold.toFixed(3)}`);
    const others = [...lists].filter(([name]) => name !== gap.value && name !== 'all').map(([, one]) => line(one.roc, 'live-thin'));
    const x = far > 0 ? Math.max(0, 1 + Math.log10(far) / 4) : 0;
    el('live-roc').innerHTML = plot(
      others.join('') + line(list.roc, 'live-same') + `<circle class="live-dot" cx="${across(x)}" cy="${down(tar)}" r="5"/>`,
      [-4, -3, -2, -1, 0].map(p => [1 + p / 4, p < -2 ? `${100 * 10 ** p} %` : `${Math.round(100 * 10 ** p)} %`]), percents,
      'false accepts (FAR)', 'true accepts (TAR), %', `ROC: TAR ${percent(tar)} at FAR ${percent(far)}`);
    el('live-gaps').innerHTML = `<thead><tr><th>Years apart</th>${gaps.map(g => `<th>${g}</th>`).join('')}</tr></thead><tbody>`
      + [['TAR', 'genuine'], ['FAR', 'other']].map(([name, key]) => `<tr><th>${name}</th>${gaps.map(g =>
        `<td>${percent(above(lists.get(String(g))[key], threshold))}</td>`).join('')}</tr>`).join('') + '</tbody>';
    const refused = Math.round((1 - tar) * list.genuine.length), accepted = Math.round(far * list.other.length);
    const counted = (count, all) => `(${count.toLocaleString('en')} of ${all.toLocaleString('en')} pairs${count ? '; the worst first' : ''})`;
    el('live-refused-count').textContent = counted(refused, list.genuine.length);
    el('live-accepted-count').textContent = counted(accepted, list.other.length);
    el('live-refused').replaceChildren(...list.same.slice(0, SHOWN).filter(one => one.score < threshold).map(pair));
    el('live-accepted').replaceChildren(...list.worst.filter(one => one.score >= threshold).map(pair));
    document.dispatchEvent(new Event('live-threshold'));
  }

  const person = el('live-person'), from = el('live-from'), among = el('live-among');
  for (const [select, chosen] of [[from, 0], [among, data.ages.length - 1]])
    select.innerHTML = data.ages.map((age, k) => `<option value="${k}"${k === chosen ? ' selected' : ''}>${age} years</option>`).join('');
  person.max = data.people;

  /* Everybody at the second age, the most alike first. */
  const ranking = (who, a, b) => Array.from({length: data.people}, (_, q) => ({q, score: cosine(faces, row(who, a), faces, row(q, b))}))
    .sort((x, y) => y.score - x.score);
  const ranks = new Map();
  function ranksOf(a, b) {
    const key = `${a} ${b}`;
    if (!ranks.has(key)) ranks.set(key, Array.from({length: data.people}, (_, who) => 1 + ranking(who, a, b).findIndex(one => one.q === who)));
    return ranks.get(key);
  }
  function showSearch() {
    const who = person.value - 1, a = Number(from.value), b = Number(among.value);
    el('live-person-value').textContent = person.value;
    if (a === b) {
      el('live-found').textContent = 'These are one and the same picture: choose two different ages.';
      el('live-ranked').replaceChildren();
      el('live-rates').textContent = '';
      return;
    }
    const order = ranking(who, a, b), rank = 1 + order.findIndex(one => one.q === who);
    person.setAttribute('aria-valuetext', `person ${person.value}, found in place ${rank}`);
    el('live-found').textContent = `Person ${person.value} at ${data.ages[b]}, sought with the picture at ${data.ages[a]}, `
      + `is in place ${rank} of ${data.people}.`;
    const shown = order.slice(0, RANKED).map((one, k) =>
      face(one.q, b, `${k + 1}: ${one.score.toFixed(2)}`, one.q === who ? 'live-right' : ''));
    const true_one = rank > RANKED ? [face(who, b, `${rank}: ${order[rank - 1].score.toFixed(2)}`, 'live-right')] : [];
    el('live-ranked').replaceChildren(face(who, a, 'sought', 'live-probe'), ...shown, ...true_one);
    const all = ranksOf(a, b), within = k => percent(all.filter(one => one <= k).length / data.people);
    el('live-rates').innerHTML = `Over all ${data.people} people, ${Math.abs(data.ages[b] - data.ages[a])} years apart: `
      + `in first place <b>${within(1)}</b>, among the first ten <b>${within(10)}</b>.`;
  }

  slider.value = at(lists.get('all').other, START_FAR);
  gap.addEventListener('change', showThreshold);
  slider.addEventListener('input', showThreshold);
  for (const control of [person, from, among]) control.addEventListener('input', showSearch);
  window.aifrLive = {data, el, bytes, url, unit, cosine, faces, row, face, plot, line, across, down, SIDE,
    threshold: () => Number(slider.value)};
  showThreshold();
  showSearch();
  el('live-no-script').remove();
})();
