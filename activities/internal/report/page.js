(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const index = JSON.parse(byId("index").textContent);
  const REGRESSED = 1, FLAKY = 2, DETAIL = 8;
  const STATES = ["failed", "passed", "errored", "not run"], SIGNS = ["✗", "✓", "!", "–"];

  // make builds an element. Texts become text, never markup.
  const make = (name, cls, ...children) => {
    const e = document.createElement(name);
    if (cls) e.className = cls;
    for (const c of children) if (c !== null && c !== undefined) e.append(c);
    return e;
  };
  const count = (n, noun) => n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");

  const rows = index.cases.map((c, i) => ({ i, id: c[0], description: c[1], tags: c[2], until: c[3], cells: new Map(), text: c.join("\n").toLowerCase(), loss: 0, flags: 0, states: new Set(), changed: false }));
  index.cells.forEach((c, i) => {
    const row = rows[c[0]];
    if (!row.cells.has(c[1])) row.cells.set(c[1], []);
    row.cells.get(c[1]).push(i);
    row.flags |= c[5];
    row.states.add(c[3]);
  });
  const mean = (cells, value) => cells.reduce((sum, i) => sum + value(index.cells[i]), 0) / cells.length;
  const passes = (c) => (c[3] === 1 ? 1 : 0), score = (c) => (c[3] < 2 ? c[4] : 0);
  // change is how a case moved under a column: its pass rate, then its score.
  const change = (row, column) => {
    const ours = row.cells.get(column), theirs = row.cells.get(index.columns[column].twin);
    if (!ours || !theirs) return null;
    return { passes: mean(ours, passes) - mean(theirs, passes), score: mean(ours, score) - mean(theirs, score) };
  };
  index.worst.forEach((c, rank) => { const row = rows[c]; row.loss = Math.max(row.loss, index.worst.length - rank); });
  for (const row of rows) {
    for (const column of row.cells.keys()) {
      const d = change(row, column);
      if (d && (Math.abs(d.passes) > 1e-9 || Math.abs(d.score) > 1e-4)) row.changed = true;
    }
  }
  // interest orders cases: no result, regressions, failures, flaky, the rest.
  const interest = (row) => (row.states.has(2) || row.states.has(3) ? 4e9 : 0) + row.loss * 1e3 + (row.states.has(0) ? 2 : 0) + (row.flags & FLAKY ? 1 : 0);
  const worstFirst = rows.slice().sort((a, b) => interest(b) - interest(a) || a.i - b.i);

  const filters = {
    all: () => true,
    worse: (r) => r.flags & REGRESSED,
    changed: (r) => r.changed,
    failed: (r) => r.states.has(0),
    open: (r) => r.states.has(2) || r.states.has(3),
    flaky: (r) => r.flags & FLAKY,
    resting: (r) => r.until !== "",
  };
  const PAGE = 100;
  let page = 0, chosen = [];

  const cellButton = (i, d) => {
    const c = index.cells[i];
    let cls = "cell open s" + c[3];
    if (d && d.passes < -1e-9) cls += " worse";
    if (d && d.passes > 1e-9) cls += " better";
    const b = make("button", cls, SIGNS[c[3]] + (c[3] < 2 ? " " + c[4] : ""));
    b.type = "button";
    b.dataset.cell = i;
    b.title = STATES[c[3]] + (c[3] < 2 ? ", score " + c[4] : "");
    b.setAttribute("aria-label", b.title + ", show the exchange");
    return b;
  };
  const matrixRow = (row) => {
    const name = make("td", "name", make("bdi", "", row.id));
    if (row.description) name.append(" ", make("span", "quiet", row.description));
    if (row.until) name.append(" ", make("span", "tag", "in quarantine until " + row.until));
    const tr = make("tr", "", name);
    index.columns.forEach((column, k) => {
      const td = make("td");
      const d = column.baseline ? null : change(row, k);
      for (const i of row.cells.get(k) || []) td.append(cellButton(i, d));
      if (d && Math.abs(d.score) > 1e-4) td.append(make("span", "quiet", (d.score > 0 ? "+" : "−") + Math.abs(Math.round(d.score * 1e4) / 1e4)));
      tr.append(td);
    });
    return tr;
  };
  const draw = () => {
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const head = make("tr", "", make("th", "", "Case"));
    for (const c of index.columns) head.append(make("th", "", c.name));
    byId("matrix").replaceChildren(make("thead", "", head), make("tbody", "", ...chosen.slice(page * PAGE, page * PAGE + PAGE).map(matrixRow)));
    byId("page").textContent = "page " + (page + 1) + " of " + pages;
    byId("back").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    byId("found").textContent = count(chosen.length, "case") + " of " + rows.length.toLocaleString("en");
  };
  const choose = () => {
    const filter = filters[byId("filter").value], find = byId("find").value.toLowerCase();
    chosen = (byId("order").value === "suite" ? rows : worstFirst).filter((r) => filter(r) && r.text.includes(find));
    page = 0;
    draw();
  };

  const chunks = new Map();
  const detail = (i) => {
    const k = Math.floor(i / index.chunk);
    if (!chunks.has(k)) chunks.set(k, JSON.parse(byId("cells-" + k).textContent));
    const chunk = chunks.get(k), d = chunk.cells[i % index.chunk];
    return d && { ...d, text: (n) => (n < 0 ? null : chunk.texts[n]) };
  };

  // difference marks words that only one side has, by their longest common subsequence; null for texts too long for it.
  const difference = (a, b) => {
    const words = (s) => s.match(/\s+|[\p{L}\p{N}_]+|[^\s]/gu) || [];
    const x = words(a), y = words(b), MOST = 2000;
    if (x.length > MOST || y.length > MOST) return null;
    const width = y.length + 1, table = new Uint16Array((x.length + 1) * width);
    for (let i = x.length - 1; i >= 0; i--)
      for (let k = y.length - 1; k >= 0; k--)
        table[i * width + k] = x[i] === y[k] ? table[(i + 1) * width + k + 1] + 1 : Math.max(table[(i + 1) * width + k], table[i * width + k + 1]);
    const before = [], after = [];
    let i = 0, k = 0;
    while (i < x.length || k < y.length) {
      if (i < x.length && k < y.length && x[i] === y[k]) { before.push([0, x[i++]]); after.push([0, y[k++]]); }
      else if (k >= y.length || (i < x.length && table[(i + 1) * width + k] >= table[i * width + k + 1])) before.push([1, x[i++]]);
      else after.push([1, y[k++]]);
    }
    return { before, after };
  };
  const marked = (parts, tag) => parts.map(([only, word]) => (only ? make(tag, "", word) : word));

  // A page that Tenuto serves leads to runs in the console; a file does not.
  const served = /^\/(console|api)\//.test(location.pathname) && location.protocol !== "file:";
  const runLink = (id) => {
    if (!served || !/^[\w.:-]+$/.test(id)) return make("span", "id", id);
    const a = make("a", "id", id);
    a.href = "/console/runs/" + id;
    return a;
  };
  const part = (title, ...content) => [make("h4", "", title), ...content];
  const assertionRows = (list) => list.map((a) => make("tr", "", make("td", "", make("span", "depth", "  ".repeat(a.depth || 0)), (a.pass ? "✓ " : "✗ ") + a.type, a.metric ? make("span", "quiet", " " + a.metric) : null),
    make("td", "num", String(Math.round(a.score * 1e4) / 1e4)), make("td", "num", String(a.weight)), make("td", "prose", a.reason)));

  const side = (i, output) => {
    const c = index.cells[i], d = detail(i), box = make("div");
    box.append(make("h3", "", make("bdi", "", index.columns[c[1]].name)), make("p", "", STATES[c[3]] + (c[3] < 2 ? ", score " + c[4] : "") + ", sample " + (c[2] + 1)));
    if (!d) {
      box.append(make("p", "tag", "The exchange is left out to keep the page small; result.json has it."));
      return box;
    }
    if (d.threshold !== undefined) box.append(make("p", "quiet", "its score must reach " + d.threshold));
    if (d.reason) box.append(make("p", "prose", (d.code ? d.code + ": " : "") + d.reason));
    box.append(...part("Output", d.output < 0 ? make("p", "quiet", "none") : make("pre", "", ...(output || [d.text(d.output)]))));
    if (d.assertions) {
      const head = make("tr", "", make("th", "", "Assertion"), make("th", "num", "Score"), make("th", "num", "Weight"), make("th", "", "Reason"));
      box.append(...part("Assertions", make("table", "", make("thead", "", head), make("tbody", "", ...assertionRows(d.assertions)))));
    }
    if (d.facts) box.append(make("p", "quiet", d.facts));
    if (d.run) box.append(make("p", "quiet", "run ", runLink(d.run)));
    if (d.grader_runs) box.append(make("p", "quiet", "graders' runs ", ...d.grader_runs.flatMap((id) => [runLink(id), " "])));
    if (d.retrieved) box.append(...part("Retrieved", make("pre", "", d.retrieved.join("\n"))));
    return box;
  };
  // partner is the cell that one is compared with: the same sample of its twin, or of the column whose twin it is.
  const partner = (i) => {
    const c = index.cells[i], row = rows[c[0]];
    let column = index.columns[c[1]].twin;
    if (index.columns[c[1]].baseline) column = index.columns.findIndex((o) => o.twin === c[1]);
    const cells = row.cells.get(column);
    return cells ? (cells.find((k) => index.cells[k][2] === c[2]) ?? cells[0]) : -1;
  };
  const dialog = byId("exchange");
  const open = (i) => {
    let ours = i, theirs = partner(i);
    if (index.columns[index.cells[i][1]].baseline && theirs >= 0) [ours, theirs] = [theirs, ours];
    const row = rows[index.cells[i][0]], d = detail(i);
    const close = make("button", "", "Close");
    close.type = "button";
    close.addEventListener("click", () => dialog.close());
    const content = [make("p", "", close), make("h2", "", make("bdi", "", row.id))];
    if (row.description) content.push(make("p", "prose", row.description));
    if (row.tags) content.push(make("p", "quiet", "tags: " + row.tags));
    const a = detail(ours), b = theirs >= 0 ? detail(theirs) : null;
    const diff = a && b && a.output >= 0 && b.output >= 0 ? difference(b.text(b.output), a.text(a.output)) : null;
    const pair = make("div", "pair", side(ours, diff && marked(diff.after, "ins")));
    if (theirs >= 0) pair.append(side(theirs, diff && marked(diff.before, "del")));
    content.push(pair);
    if (d && d.input >= 0) content.push(...part("Input", make("pre", "", d.text(d.input))));
    if (d && d.vars >= 0) content.push(...part("Variables", make("pre", "", d.text(d.vars))));
    dialog.replaceChildren(...content);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.open");
    if (button) open(Number(button.dataset.cell));
  });
  byId("choose").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["filter", "order", "find"]) byId(id).addEventListener("input", choose);
  byId("back").addEventListener("click", () => { page--; draw(); });
  byId("next").addEventListener("click", () => { page++; draw(); });
  choose();
  document.documentElement.classList.add("script");
})();
