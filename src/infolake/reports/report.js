"use strict";
/* Text from the data reaches the page through textContent and attributes set by name; never as markup. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const FIRST = 50;
  const LARGEST = Number.MAX_VALUE;
  const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
  const collator = new Intl.Collator("en", { numeric: true });
  const byId = (id) => document.getElementById(id);

  function make(tag, options, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options || {})) {
      if (name === "class") node.className = value;
      else if (name === "text") node.textContent = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  function named(label) {
    if (label === null) return make("span", { class: "special", text: "missing" });
    if (label === "") return make("span", { class: "special", text: "empty text" });
    return make("bdi", { text: label });
  }

  const plain = (label) => (label === null ? "(missing)" : label === "" ? "(empty text)" : label);

  /* ---- tables ---- */

  class Table {
    constructor(key, view, open) {
      this.key = key;
      this.columns = view.columns;
      this.open = open;
      this.size = view.columns.length ? view.columns[0].v.length : 0;
      this.order = Array.from({ length: this.size }, (_, i) => i);
      this.sorted = null;
      this.most = FIRST;
      this.text = this.searchable();
      const box = byId(`${key}-table`);
      this.head = box.querySelector("thead");
      this.body = box.querySelector("tbody");
      this.search = byId(`${key}-search`);
      this.more = byId(`${key}-more`);
      this.search.addEventListener("input", () => this.draw());
      this.more.addEventListener("click", () => { this.most = this.most === FIRST ? Infinity : FIRST; this.draw(); });
      this.drawHead();
      this.draw();
    }

    searchable() {
      const names = this.columns.filter((c) => c.kind === "name");
      return this.order.map((i) => names.map((c) => plain(c.names[c.v[i]])).join(" ").toLowerCase());
    }

    drawHead() {
      const row = make("tr");
      this.columns.forEach((column, k) => {
        const arrow = make("span", { class: "arrow", "aria-hidden": "true" });
        const button = make("button", { type: "button", class: "sort" }, make("bdi", { text: column.title }), arrow);
        if (column.unit) button.append(make("span", { class: "unit", text: column.unit }));
        button.addEventListener("click", () => this.sort(k));
        const cell = make("th", { scope: "col", class: column.kind === "number" ? "num" : "" }, button);
        row.append(cell);
      });
      this.head.replaceChildren(row);
    }

    sort(k) {
      const column = this.columns[k];
      const again = this.sorted !== null && this.sorted[0] === k;
      const down = again ? !this.sorted[1] : column.kind !== "name";
      this.sorted = [k, down];
      const value = (i) => column.v[i];
      this.order.sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return (down ? y - x : x - y) || a - b;
      });
      [...this.head.querySelectorAll("th")].forEach((cell, i) => {
        if (i === k) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
        cell.querySelector(".arrow").textContent = i === k ? (down ? " ↓" : " ↑") : "";
      });
      this.draw();
    }

    draw() {
      const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = this.order.filter((i) => words.every((w) => this.text[i].includes(w)));
      const shown = found.slice(0, this.most);
      this.body.replaceChildren(...shown.map((i) => this.row(i)));
      if (!found.length) this.body.append(make("tr", {}, make("td", { colspan: String(this.columns.length), class: "na", text: this.size ? "Nothing matches." : "n/a (no rows)" })));
      byId(`${this.key}-count`).textContent = `${whole.format(shown.length)} of ${whole.format(found.length)} shown`;
      this.more.hidden = found.length <= FIRST;
      this.more.textContent = this.most === FIRST ? `Show all ${whole.format(found.length)}` : `Show the first ${FIRST}`;
    }

    row(i) {
      const row = make("tr");
      this.columns.forEach((column, k) => row.append(this.cell(column, i, k)));
      return row;
    }

    cell(column, i, k) {
      if (column.kind === "flag") return make("td", {}, ...(column.v[i] ? [make("span", { class: "pill thin", title: "fewer than 5 rows per cell", text: "thin" })] : [make("span", { class: "na", text: "no" })]));
      if (column.kind === "name") return this.name(column, i, k);
      return number(column, i);
    }

    name(column, i, k) {
      const label = column.names[column.v[i]];
      const cell = make("td", { class: "name", title: plain(label) });
      if (k > 0 || !this.open) cell.append(named(label));
      else {
        const button = make("button", { type: "button", class: "open" }, named(label));
        button.addEventListener("click", () => this.open(i));
        cell.append(button);
      }
      return cell;
    }
  }

  function number(column, i) {
    const value = column.v[i], text = column.t[i];
    const full = column.full ? column.full[i] : value === null || Math.abs(value) === LARGEST ? text.trim() : String(value);
    const title = column.unit ? `${full} ${column.unit}` : full;
    const cell = make("td", { class: value === null ? "num na" : "num value", title, text });
    const top = column.top ?? (column.top = Math.max(...column.v.filter((v) => v !== null && Math.abs(v) !== LARGEST).map(Math.abs), 0));
    if (value && Number.isFinite(top) && column.meter) {
      const bar = make("i", value < 0 ? { class: "down" } : {});
      bar.style.width = `${Math.min(100, 100 * Math.abs(value) / top)}%`;
      cell.append(make("span", { class: "meter", "aria-hidden": "true" }, bar));
    }
    return cell;
  }

  /* ---- the table behind a pair ---- */

  const dialog = byId("pair");

  function show(parts, body) {
    const title = byId("pair-title");
    title.replaceChildren();
    parts.forEach((part, k) => title.append(...(k ? [document.createTextNode(" × ")] : []), named(part)));
    byId("pair-body").replaceChildren(...body);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  function hash(question, x, y) {
    return `#pair=${[question, x, y].map(encodeURIComponent).join("/")}`;
  }

  function setHash(value) {
    history.replaceState(null, "", value || location.pathname + location.search);
  }

  function openPair(q, i) {
    const question = data.questions[q];
    const [x, y] = pairNames(question, i);
    const view = question.table;
    const body = [scores(view, i, question)];
    const drill = view.drill[i];
    if (drill >= 0) body.push(...contingency(data.tables[drill]));
    else body.push(make("p", { class: "notice", text: `No table here: ${view.reasons[view.why[i]]}.` }));
    show([x, y], body);
    setHash(hash(question.name, x, y));
  }

  function pairNames(question, i) {
    const [a, b] = question.table.columns;
    return [a.names[a.v[i]], question.target === null ? b.names[b.v[i]] : question.target];
  }

  function scores(view, i) {
    const list = make("dl", { class: "scores" });
    for (const column of view.columns) {
      if (column.kind === "name") continue;
      const text = column.kind === "flag" ? (column.v[i] ? "yes: fewer than 5 rows per cell" : "no") : `${column.t[i].replace(/[\u2007\u2008]/g, "")} ${column.unit}`.trim();
      list.append(make("div", {}, make("dt", { text: column.title }), make("dd", { text })));
    }
    return list;
  }

  function contingency(table) {
    const select = make("select", { "aria-label": "What the cells show" });
    for (const [value, text] of [["rows", "rows"], ["expected", "rows expected if unrelated"], ["pmi", "PMI [bits]"], ["share", "% of the row"]]) select.append(make("option", { value, text }));
    const grid = make("table", { class: "cells" });
    const draw = () => cells(table, grid, select.value);
    select.addEventListener("change", draw);
    draw();
    const scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Contingency table" }, grid);
    return [key(table, select), scroll, make("p", { class: "caption", text: describe(table) })];
  }

  function key(table, select) {
    const limit = scale(table);
    const label = make("label", { class: "choice", text: "Cells show " }, select);
    const low = make("span", { text: `PMI −${limit.toFixed(1)} bits, less often than chance` });
    const high = make("span", { text: `+${limit.toFixed(1)} bits, more often` });
    const ramp = make("span", {}, low, make("span", { class: "pmiramp", "aria-hidden": "true" }), high);
    const never = make("span", {}, make("span", { class: "hatch", "aria-hidden": "true" }), "no rows where at least 5 are expected (PMI −∞)");
    return make("div", { class: "pmikey" }, label, ramp, never);
  }

  function describe(table) {
    const text = [`${whole.format(table.shape[0])} × ${whole.format(table.shape[1])} levels, ${whole.format(table.total)} rows in all.`];
    ["rows", "columns"].forEach((axis, k) => {
      if (table.others[k]) text.push(`Only the ${table[axis].length} ${axis} with the most rows are shown; the other ${whole.format(table.others[k])} levels are added up in the last of them.`);
    });
    text.push("Colour: pointwise mutual information, log₂ of rows ÷ rows expected; expected = row total × column total ÷ all rows.");
    return text.join(" ");
  }

  const expected = (table, i, j) => table.margins[0][i] / table.total * table.margins[1][j];
  const pmi = (table, i, j) => Math.log2(table.cells[i][j]) - Math.log2(table.margins[0][i]) - Math.log2(table.margins[1][j]) + Math.log2(table.total);

  function scale(table) {
    let most = 0;
    table.cells.forEach((row, i) => row.forEach((n, j) => { if (n > 0 && i < table.rows.length && j < table.columns.length) most = Math.max(most, Math.abs(pmi(table, i, j))); }));
    return Math.min(Math.max(most, 0.1), 4);
  }

  function cells(table, grid, what) {
    const limit = scale(table);
    const others = (axis) => (table.others[axis] ? [make("span", { class: "special", text: `${whole.format(table.others[axis])} others` })] : []);
    const columns = [...table.columns.map(named), ...others(1)];
    const rows = [...table.rows.map(named), ...others(0)];
    const corner = make("th", { scope: "col" }, make("bdi", { text: table.x }), " ↓  ", make("bdi", { text: table.y }), " →");
    const head = make("tr", {}, corner, ...columns.map((c) => make("th", { scope: "col", title: c.textContent }, c)), make("th", { scope: "col", text: "all" }));
    const body = rows.map((label, i) => {
      const row = make("tr", {}, make("th", { scope: "row", title: label.textContent }, label));
      table.cells[i].forEach((n, j) => row.append(cell(table, i, j, n, what, limit)));
      row.append(make("td", { class: "margin", text: whole.format(table.margins[0][i]) }));
      return row;
    });
    const last = make("tr", {}, make("th", { scope: "row", class: "margin", text: "all" }), ...table.margins[1].map((n) => make("td", { class: "margin", text: whole.format(n) })), make("td", { class: "margin", text: whole.format(table.total) }));
    grid.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body, last));
  }

  function cell(table, i, j, n, what, limit) {
    const due = expected(table, i, j);
    const score = n > 0 ? pmi(table, i, j) : -Infinity;
    const shown = n > 0 ? score.toFixed(2).replace("-", "−") : "−∞";
    const text = { rows: whole.format(n), expected: whole.format(Number(due.toPrecision(3))), pmi: shown, share: (100 * n / table.margins[0][i]).toFixed(1) }[what];
    const node = make("td", { text, title: `${whole.format(n)} rows, ${whole.format(Number(due.toPrecision(4)))} expected, PMI ${shown} bits` });
    if (n === 0) node.className = due >= 5 ? "absent" : "na";
    else {
      const depth = Math.min(1, Math.abs(score) / limit) * 0.85;
      node.style.backgroundColor = `rgba(var(${score > 0 ? "--up" : "--down"}), ${depth.toFixed(3)})`;
    }
    return node;
  }

  function openAssociation(a) {
    const view = data.associations[a];
    show([view.x, view.y], contingency(data.tables[view.drill]));
  }

  function followHash() {
    if (!location.hash.startsWith("#pair=")) return;
    let parts;
    try {
      parts = location.hash.slice(6).split("/").map(decodeURIComponent);
    } catch {
      return;
    }
    const q = data.questions.findIndex((question) => question.name === parts[0]);
    if (q < 0) return;
    const question = data.questions[q];
    const same = (i) => {
      const [x, y] = pairNames(question, i);
      return (x === parts[1] && y === parts[2]) || (x === parts[2] && y === parts[1]);
    };
    const row = question.table.columns[0].v.findIndex((_, i) => same(i));
    if (row >= 0) openPair(q, row);
  }

  byId("pair-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { if (location.hash.startsWith("#pair=")) setHash(""); });
  window.addEventListener("hashchange", followHash);

  /* ---- charts ---- */

  const plots = [];

  async function draw(item, onPick) {
    const views = await Bokeh.embed.embed_item(item);
    const plot = views.get_by_id(item.root_id).model;
    const cells = plot.renderers.find((r) => r.name === "cells");
    const source = cells.data_source;
    source.selected.properties.indices.change.connect(() => {
      const [index] = source.selected.indices;
      if (index === undefined) return;
      source.selected.indices = [];
      if (onPick) onPick(source.data, index);
    });
    plots.push({ plot, cells, paint: plot.document });
    return { plot, source };
  }

  function drawHeat(question, q) {
    const heat = question.heat;
    const select = byId(`${question.key}-heat-measure`);
    const ready = draw(heat.item, (columns, index) => openPair(q, columns.row[index]));
    const update = async () => {
      const k = Number(select.value);
      legend(byId(`${question.key}-heat-legend`), heat.ticks[k], question.measures[k]);
      byId(`${question.key}-heat-directed`).hidden = !heat.directed[k];
      const { source } = await ready;
      source.data = { ...source.data, shade: source.data[`s${k}`] };
    };
    select.addEventListener("change", update);
    return ready.then(update);
  }

  function legend(box, ticks, measure) {
    const ramp = make("canvas", { width: "64", height: "1", "aria-hidden": "true" });
    const line = make("div", { class: "ticks" }, ...ticks.map((text) => make("span", { text })));
    box.replaceChildren(make("div", { class: "ramp" }, ramp, line), make("bdi", { text: `${measure.title} ${measure.unit ? `[${measure.unit}]` : "(no unit)"}` }));
    paintRamp(ramp);
  }

  function paintRamp(ramp) {
    const context = ramp.getContext("2d");
    data.palettes[dark() ? "dark" : "light"].forEach((color, k) => { context.fillStyle = color; context.fillRect(k, 0, 1, 1); });
  }

  function drawRank(question, q) {
    const rank = question.rank;
    const select = byId(`${question.key}-rank-measure`);
    const ready = draw(rank.item, (columns, index) => openPair(q, columns.row[index]));
    const update = async () => {
      const k = Number(select.value), measure = question.measures[k];
      byId(`${question.key}-rank-unit`).textContent = `${measure.title} with the target${measure.unit ? `, in ${measure.unit}` : " (no unit)"}.`;
      byId(`${question.key}-rank-bias`).hidden = !rank.biased[k];
      const { plot, source } = await ready;
      const of = (letter) => source.data[`${letter}${k}`];
      source.data = { ...source.data, value: of("v"), bias: of("b"), low: of("l"), high: of("h") };
      plot.y_range.factors = rank.orders[k];
    };
    select.addEventListener("change", update);
    return ready.then(update);
  }

  /* ---- colours ---- */

  const preference = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const chosen = () => document.documentElement.dataset.theme || "auto";
  const dark = () => !printing && (chosen() === "dark" || (chosen() === "auto" && preference.matches));

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    for (const { plot, cells } of plots) {
      for (const axis of [...plot.above, ...plot.left, ...plot.below, ...plot.right]) axis.setv({ major_label_text_color: color("--text") });
      for (const grid of plot.center) grid.setv({ grid_line_color: color("--line") });
      const mapper = cells.glyph.fill_color && cells.glyph.fill_color.transform;
      if (mapper) mapper.palette = data.palettes[dark() ? "dark" : "light"];
    }
    for (const ramp of document.querySelectorAll(".ramp canvas")) paintRamp(ramp);
  }

  function setTheme(name) {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    byId("theme").textContent = `Theme: ${name}`;
    paint();
  }

  byId("theme").addEventListener("click", () => setTheme({ auto: "light", light: "dark", dark: "auto" }[chosen()]));
  preference.addEventListener("change", paint);
  let before = "auto";
  window.addEventListener("beforeprint", () => { before = chosen(); printing = true; setTheme("light"); });
  window.addEventListener("afterprint", () => { printing = false; setTheme(before); });

  /* ---- start ---- */

  const wanted = /(?:#|&)theme=(light|dark)/.exec(location.hash);
  if (wanted) setTheme(wanted[1]);
  data.questions.forEach((question, q) => new Table(question.key, question.table, (i) => openPair(q, i)));
  data.associations.forEach((view, a) => {
    new Table(view.key, view.table, view.drill >= 0 ? () => openAssociation(a) : null);
    const button = byId(`${view.key}-open`);
    if (button) button.addEventListener("click", () => openAssociation(a));
  });
  followHash();
  const drawn = [];
  data.questions.forEach((question, q) => {
    if (question.rank) drawn.push(drawRank(question, q));
    if (question.heat) drawn.push(drawHeat(question, q));
  });
  data.associations.forEach((view) => { if (view.bars) drawn.push(draw(view.bars)); });
  Promise.all(drawn).then(() => { paint(); document.documentElement.dataset.ready = String(drawn.length); });
})();
