/* The living page's network: onnxruntime-web on a strip of drawn faces and on a picture that the reader opens. */
(() => {
  const live = window.aifrLive;
  if (!live) return;
  const {data, el, bytes, url, unit, cosine, SIDE} = live;
  const MOST_BYTES = 25e6, LEAST_FACE = 40, CROP = 112, DETECT = 640, SURE = 0.7;
  const TEMPLATE = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]];
  const megabytes = size => `${(size / 1e6).toFixed(1)} MB`;
  const state = text => { el('live-state').textContent = text; };
  let ort = null, embedder = null, detector = null;

  const loadScript = name => new Promise((done, failed) => {
    const script = document.createElement('script');
    script.src = `../../_static/${name}`;
    script.onload = done;
    script.onerror = () => failed(new Error(`${name} is not beside this page`));
    document.head.append(script);
  });
  async function unzipped(content) {
    return new Response(new Blob([content]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  }
  const session = content => ort.InferenceSession.create(bytes(content), {executionProviders: ['wasm'], logSeverityLevel: 3});

  const TABLES = 'The strip below is scored from stored embeddings (int8); pictures of your own cannot be read.';
  async function load() {
    if (!data.sizes.runtime) return state(`This copy of the book was built without npm, so it holds no network. ${TABLES}`);
    if (typeof WebAssembly !== 'object') return state(`This browser does not run WebAssembly. ${TABLES}`);
    el('live-load').disabled = true;
    state('Loading …');
    const started = performance.now();
    try {
      await Promise.all([loadScript('runtime.js'), loadScript('network.js')]);
      ort = await import(url(btoa(unescape(encodeURIComponent(window.aifrLiveRuntime.module))), 'text/javascript'));
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = await unzipped(bytes(window.aifrLiveRuntime.wasm));
      embedder = await session(window.aifrLiveNetwork.embedder);
    } catch (error) {
      embedder = null;
      el('live-load').disabled = false;
      return state(`The network could not be started in this browser (${error.message}). ${TABLES}`);
    }
    state(`The network runs in this page: ${megabytes(data.sizes.runtime + data.sizes.network)}, `
      + `ready after ${((performance.now() - started) / 1000).toFixed(1)} s (onnxruntime-web ${window.aifrLiveRuntime.version}).`);
    el('live-network').dataset.ready = 'true';
    el('live-file').disabled = false;
    await showStrip();
  }

  /* RGBA of SIDE × SIDE pixels → its embedding of length 1: f(x) + f(mirrored x), levels as (x − 127.5) / 128. */
  async function embed(rgba) {
    const plane = SIDE * SIDE, input = new Float32Array(2 * 3 * plane);
    for (let y = 0; y < SIDE; y++) for (let x = 0; x < SIDE; x++) for (let c = 0; c < 3; c++) {
      const level = (rgba[4 * (y * SIDE + x) + c] - 127.5) / 128;
      input[c * plane + y * SIDE + x] = level;
      input[(3 + c) * plane + y * SIDE + SIDE - 1 - x] = level;
    }
    const out = (await embedder.run({pictures: new ort.Tensor('float32', input, [2, 3, SIDE, SIDE])})).embeddings.data;
    const sum = Float32Array.from({length: data.width}, (_, k) => out[k] + out[data.width + k]);
    const length = Math.sqrt(sum.reduce((total, x) => total + x * x, 0));
    return sum.map(x => x / length);
  }

  const canvas = (width, height) => Object.assign(document.createElement('canvas'), {width, height});
  const paint = one => one.getContext('2d', {willReadFrequently: true});
  const stripTable = unit(data.stripTable), measured = new Map();
  const sheet = new Image();
  sheet.src = url(data.stripPictures, 'image/png');
  const ready = sheet.decode();
  function frame(person, age) {
    const one = canvas(SIDE, SIDE);
    paint(one).drawImage(sheet, -SIDE * age, -SIDE * person);
    return one;
  }
  const pixels = one => paint(one).getImageData(0, 0, one.width, one.height).data;
  /* The embedding of a frame: the network's own where it runs, else the stored one. */
  async function stripEmbedding(person, age) {
    const key = person * data.stripAges.length + age;
    if (!embedder) return stripTable.subarray(key * data.width, (key + 1) * data.width);
    if (!measured.has(key)) measured.set(key, await embed(pixels(frame(person, age))));
    return measured.get(key);
  }

  const person = el('live-strip-person'), from = el('live-strip-from'), slider = el('live-strip-age');
  person.innerHTML = Array.from({length: data.strips}, (_, p) => `<option value="${p}">${p + 1}</option>`).join('');
  from.innerHTML = data.stripAges.map((age, k) => `<option value="${k}"${age === 30 ? ' selected' : ''}>the face at ${age}</option>`).join('');
  slider.max = data.stripAges.length - 1;
  slider.value = slider.max;
  function shown(one, alt, said) {
    const box = document.createElement('span');
    box.className = 'live-one live-large';
    one.setAttribute('role', 'img');
    one.setAttribute('aria-label', alt);
    box.append(one, said);
    return box;
  }
  async function showStrip() {
    await ready;
    const p = Number(person.value), a = Number(from.value), k = Number(slider.value), ages = data.stripAges;
    const reference = await stripEmbedding(p, a), scores = [];
    for (let age = 0; age < ages.length; age++) scores.push(cosine(reference, 0, await stripEmbedding(p, age), 0));
    el('live-strip-age-value').textContent = `${ages[k]} years`;
    slider.setAttribute('aria-valuetext', `${ages[k]} years, cosine ${scores[k].toFixed(3)}`);
    el('live-strip').replaceChildren(...[a, k].map(at => shown(frame(p, at), `Drawn face of person ${p + 1} at ${ages[at]}`, `${ages[at]} years`)));
    const threshold = live.threshold(), same = scores[k] >= threshold;
    el('live-strip-said').innerHTML = `Cosine <b data-cosine="${scores[k]}">${scores[k].toFixed(3)}</b>: at the threshold above `
      + `(${threshold.toFixed(3)}) taken for ${same ? 'one person' : 'two people'}. `
      + (embedder ? 'Computed by the network in this page.' : 'From the stored embeddings.');
    const {line, across, down} = live, x = at => (ages[at] - 5) / 75, y = score => Math.max(0, score);
    el('live-curve').innerHTML = live.plot(
      line(scores.map((score, at) => [x(at), y(score)]), 'live-same') + line([[0, y(threshold)], [1, y(threshold)]], 'live-mark')
        + `<circle class="live-dot" cx="${across(x(k))}" cy="${down(y(scores[k]))}" r="5"/>`,
      [5, 20, 40, 60, 80].map(age => [(age - 5) / 75, age]), [0, 0.25, 0.5, 0.75, 1].map(v => [v, v]), 'age, years', 'cosine',
      `Cosine by age; at ${ages[k]} years ${scores[k].toFixed(2)}`);
  }

  /* Why a file cannot be read, in a sentence, or nothing. */
  async function refused(file) {
    if (!file.size) return `${file.name} is empty.`;
    const head = new Uint8Array(await file.slice(0, 32).arrayBuffer()), latin = String.fromCharCode(...head);
    if (latin.slice(4, 8) === 'ftyp' && /hei|hev|mif1|msf1/.test(latin.slice(8)))
      return `${file.name} is a HEIC picture, which browsers do not open: save it as JPEG, and open that.`;
    if (file.size > MOST_BYTES)
      return `${file.name} has ${megabytes(file.size)}, and this page reads up to ${megabytes(MOST_BYTES)}: save it smaller.`;
    return '';
  }

  /* Linear resizing with a filter as wide as a step of the output (as torch's antialias): RGBA n × n → SIDE × SIDE. */
  function smaller(rgba, n) {
    const scale = n / SIDE, weights = Array.from({length: SIDE}, (_, i) => {
      const centre = (i + 0.5) * scale, reach = Math.max(scale, 1);
      const first = Math.max(0, Math.floor(centre - reach + 0.5)), last = Math.min(n, Math.floor(centre + reach + 0.5));
      const w = Array.from({length: last - first}, (_, k) => Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / reach)));
      const sum = w.reduce((a, b) => a + b, 0);
      return {first, w: w.map(x => x / sum)};
    });
    const wide = new Float32Array(n * SIDE * 4), out = new Float32Array(SIDE * SIDE * 4);
    for (let y = 0; y < n; y++) weights.forEach(({first, w}, x) => w.forEach((by, k) => {
      for (let c = 0; c < 4; c++) wide[4 * (y * SIDE + x) + c] += by * rgba[4 * (y * n + first + k) + c];
    }));
    weights.forEach(({first, w}, y) => w.forEach((by, k) => {
      for (let x = 0; x < 4 * SIDE; x++) out[4 * SIDE * y + x] += by * wide[4 * SIDE * (first + k) + x];
    }));
    return out;
  }

  /* The face a portrait is of, as five points and the width of its box in the picture; nothing where there is none. */
  async function detect(picture) {
    detector = detector || await session(window.aifrLiveNetwork.detector);
    const scale = Math.min(1, DETECT / Math.max(picture.width, picture.height)), one = canvas(DETECT, DETECT);
    paint(one).imageSmoothingQuality = 'high';
    paint(one).drawImage(picture, 0, 0, picture.width * scale, picture.height * scale);
    const rgba = pixels(one), plane = DETECT * DETECT, input = new Float32Array(3 * plane);
    for (let k = 0; k < plane; k++) for (let c = 0; c < 3; c++) input[c * plane + k] = rgba[4 * k + 2 - c];
    const out = await detector.run({[detector.inputNames[0]]: new ort.Tensor('float32', input, [1, 3, DETECT, DETECT])});
    const found = [];
    for (const stride of [8, 16, 32]) {
      const columns = DETECT / stride, read = name => out[`${name}_${stride}`].data;
      const [cls, obj, bbox, kps] = ['cls', 'obj', 'bbox', 'kps'].map(read);
      for (let k = 0; k < columns * columns; k++) {
        const score = Math.sqrt(Math.max(0, cls[k]) * Math.max(0, obj[k]));
        if (score < SURE) continue;
        const column = k % columns, line = Math.floor(k / columns);
        const at = (x, y) => [(x + column) * stride / scale, (y + line) * stride / scale];
        const [x, y] = at(bbox[4 * k], bbox[4 * k + 1]);
        const [w, h] = [2, 3].map(n => Math.exp(bbox[4 * k + n]) * stride / scale);
        const points = Array.from({length: 5}, (_, n) => at(kps[10 * k + 2 * n], kps[10 * k + 2 * n + 1]));
        found.push({score, x, y, w, h, points});
      }
    }
    if (!found.length) return null;
    const central = f => f.w * f.h - 2 * ((f.x - picture.width / 2) ** 2 + (f.y - picture.height / 2) ** 2);
    const foremost = found.reduce((a, b) => central(b) > central(a) ? b : a);
    const near = found.filter(f => Math.hypot(f.x - foremost.x, f.y - foremost.y) < foremost.w / 3);
    return near.reduce((a, b) => b.score > a.score ? b : a);
  }

  /* The similarity that carries points nearest to the template, as canvas takes it (Umeyama 1991; no mirror). */
  function similarity(points) {
    const mean = list => [0, 1].map(k => list.reduce((sum, p) => sum + p[k], 0) / list.length);
    const [mx, my] = mean(points), [tx, ty] = mean(TEMPLATE);
    let a = 0, b = 0, square = 0;
    points.forEach(([px, py], k) => {
      const [x, y, u, v] = [px - mx, py - my, TEMPLATE[k][0] - tx, TEMPLATE[k][1] - ty];
      a += x * u + y * v;
      b += x * v - y * u;
      square += x * x + y * y;
    });
    [a, b] = [a / square, b / square];
    return [a, b, -b, a, tx - a * mx + b * my, ty - b * mx - a * my];
  }

  async function read(file) {
    const why = await refused(file);
    if (why) throw new Error(why);
    let picture;
    try { picture = await createImageBitmap(file); } catch {
      throw new Error(`${file.name} is no picture that this browser can open: JPEG, PNG and WebP are.`);
    }
    if (Math.min(picture.width, picture.height) < LEAST_FACE)
      throw new Error(`${file.name} is too small (${picture.width} × ${picture.height} pixels): a face needs ${LEAST_FACE} or more.`);
    const found = await detect(picture);
    if (!found) throw new Error(`No face was found in ${file.name}: open a picture in which one looks at the camera.`);
    if (found.w < LEAST_FACE)
      throw new Error(`The face in ${file.name} is too small (${Math.round(found.w)} pixels wide): it needs ${LEAST_FACE} or more.`);
    const crop = canvas(CROP, CROP), context = paint(crop);
    context.imageSmoothingQuality = 'high';
    context.setTransform(...similarity(found.points));
    context.drawImage(picture, 0, 0);
    return {crop, name: file.name, embedding: await embed(smaller(pixels(crop), CROP))};
  }

  async function openPictures() {
    const files = [...el('live-file').files].slice(0, 2), said = el('live-own-said');
    for (const id of ['live-own', 'live-nearest']) el(id).replaceChildren();
    el('live-nearest-title').textContent = '';
    if (!files.length) return;
    if (!embedder) await load();
    if (!embedder) return;
    if (!window.aifrLiveNetwork.detector) { said.textContent = 'This copy of the book holds no detector of faces.'; return; }
    said.textContent = 'Looking for the face …';
    try {
      const read_ones = [];
      for (const file of files) read_ones.push(await read(file));
      el('live-own').replaceChildren(...read_ones.map(one => shown(one.crop, `The face found in ${one.name}, upright`, one.name)));
      const [first, second] = read_ones;
      if (second) {
        const score = cosine(first.embedding, 0, second.embedding, 0), same = score >= live.threshold();
        said.innerHTML = `Cosine <b>${score.toFixed(3)}</b>: at the threshold above taken for ${same ? 'one person' : 'two people'}.`;
      } else said.textContent = 'This is what the network is given. Open two pictures at once to compare them.';
      const order = Array.from({length: data.people * data.ages.length}, (_, k) => [cosine(first.embedding, 0, live.faces, k * data.width), k])
        .sort((x, y) => y[0] - x[0]).slice(0, 5);
      el('live-nearest-title').textContent = `The drawn faces most like ${first.name}`;
      el('live-nearest').replaceChildren(...order.map(([score, k]) =>
        live.face(Math.floor(k / data.ages.length), k % data.ages.length, score.toFixed(2))));
    } catch (error) { said.textContent = error.message; }
  }

  el('live-size').textContent = data.sizes.runtime ? `(${megabytes(data.sizes.runtime + data.sizes.network)}, from beside this page)` : '';
  el('live-load').addEventListener('click', load);
  el('live-file').addEventListener('change', openPictures);
  for (const control of [person, from, slider]) control.addEventListener('input', showStrip);
  document.addEventListener('live-threshold', showStrip);
  Object.assign(live, {embed, smaller});
  if (!data.sizes.runtime || typeof WebAssembly !== 'object') {
    for (const id of ['live-load', 'live-file']) el(id).disabled = true;
    load();
  }
  showStrip();
})();
