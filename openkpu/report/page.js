"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const A = DATA.a, B = DATA.b;
const PARTS = [
  ["busy", "array", "#2a9d8f"], ["wait_param", "parameters", "#e76f51"], ["wait_feature", "features", "#457b9d"],
  ["wait_writeback", "write-back", "#8e6bbf"], ["rest", "start and end", "#a9b3bf"]];
const COLOUR = Object.fromEntries(PARTS.map(([, name, colour]) => [name, colour]));
const OPTIONS = {displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d", "toImage"]};
const $ = id => document.getElementById(id);
const number = (x, digits = 0) => x.toLocaleString("en-US", {maximumFractionDigits: digits, minimumFractionDigits: digits});
const shape = s => s.join("\u00d7");
const bytes = n => n < 10240 ? `${number(n)} bytes` : n < 10 << 20 ? `${number(n / 1024)} KiB` : `${number(n / 1048576, 1)} MiB`;
const element = (tag, text, kind) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
let picked = null;

// Rows of the same layer (a batch) have one number; the label tells them apart.
function labels(rows) {
  const seen = {};
  return rows.map(r => { seen[r.layer] = (seen[r.layer] || 0) + 1; return seen[r.layer] > 1 ? `${r.layer}.${seen[r.layer]}` : `${r.layer}`; });
}
const pool = (r, before = "") => r.pool && r.pool !== "none" ? before + r.pool : "";
const NAMES = labels(A.rows);

function layout(more) {
  const base = {
    margin: {l: 56, r: 14, t: 12, b: 44}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: {family: "system-ui, sans-serif", size: 12, color: "#1c2530"}, hovermode: "closest", showlegend: false,
    legend: {traceorder: "normal", orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: {size: 11}}};
  return {...base, ...more, margin: {...base.margin, ...more.margin}};
}
const axis = (title, more = {}) => ({title: {text: title, font: {size: 12}}, gridcolor: "#e6ebf0", zeroline: false, automargin: true, ...more});

function clickable(id, layerOf) {
  $(id).on("plotly_click", event => { const layer = layerOf(event.points[0]); if (layer !== undefined && layer >= 0) select(layer); });
}

function cards() {
  const mhz = Number($("mhz").value) || A.mhz, t = A.totals, m = A.memory;
  const time = (cycles, clock) => `${number(cycles / clock / 1e3, cycles / clock > 1e4 ? 1 : 2)} ms`;
  const rate = (cycles, clock) => cycles ? `${number(clock * 1e6 / cycles, 1)} frames/s` : "";
  const shown = [
    [time(t.cycles, mhz), `a frame on the KPU at ${number(mhz, mhz % 1 ? 1 : 0)} MHz, ${rate(t.cycles, mhz)}`],
    [number(t.cycles), `cycles (${A.measured ? "counted by the RTL" : "by the cycle model"})`],
    [time(t.chip_cycles, A.chip_mhz), `on the K210 at ${A.chip_mhz} MHz, ${rate(t.chip_cycles, A.chip_mhz)}`],
    [`${number(t.chip_ratio, 1)} \u00d7`, "fewer cycles than the K210's"],
    [`${number(t.utilisation_percent, 1)} %`, `of ${A.peak.macs} multipliers in use`],
    [number(t.effective_macs / 1e6, 1) + " M", "multiply-accumulates that count"],
    [bytes(m.airam), `of AI RAM, ${bytes(m.airam_limit)} on the chip`],
    [bytes(A.rows.reduce((sum, r) => sum + r.fetched_bytes + r.table_bytes, 0)), "of parameters fetched a frame"]];
  $("cards").replaceChildren(...shown.map(([value, text]) => {
    const card = element("div", undefined, "card");
    card.append(element("b", value), element("span", text));
    return card;
  }));
}

const hover = A.rows.map((r, i) => `layer ${NAMES[i]}, ${r.kind}${pool(r, ", ")}<br>${shape(r.in_shape)} \u2192 ${shape(r.out_shape)}<br>${number(r.cycles)} cycles, ${r.utilisation_percent} % of the multipliers<br>limit: ${r.limit}`);

function bars() {
  const many = A.rows.length > 40;
  const x = axis("layer", {type: "category", tickangle: many ? -90 : 0, tickfont: {size: many ? 9 : 11}});
  Plotly.newPlot("bars", PARTS.map(([key, name, colour]) => ({
    type: "bar", name, x: NAMES, y: A.rows.map(r => r[key]), marker: {color: colour}, hovertext: hover, hoverinfo: "text"})),
    layout({barmode: "stack", bargap: .15, showlegend: true, xaxis: x, yaxis: axis("cycles"), margin: {t: 30}}), OPTIONS);
  clickable("bars", p => A.rows[p.pointIndex].layer);
  Plotly.newPlot("chip", [{type: "bar", x: NAMES, y: A.rows.map(r => r.chip_ratio), marker: {color: "#7a8896"},
    hovertemplate: "layer %{x}: the K210 takes %{y:.1f} times as long<extra></extra>"}],
    layout({bargap: .3, xaxis: x, yaxis: axis("K210 : this", {ticksuffix: "\u00d7"}),
      shapes: [{type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: {color: "#e76f51", width: 1, dash: "dot"}}]}), OPTIONS);
  clickable("chip", p => A.rows[p.pointIndex].layer);
}

// 1, 2, 5, 10 ... in full: Plotly leaves the decades out of what it writes between them.
function logAxis(title, low, high) {
  const values = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5]) values.push(step * 10 ** power);
  return axis(title, {type: "log", range: [Math.log10(low), Math.log10(high)], tickvals: values, ticktext: values.map(v => v >= 1e6 ? `${v / 1e6}M` : v >= 1e3 ? `${v / 1e3}k` : `${v}`)});
}

function roof(id, title, intensity, slope) {
  const used = A.rows.map((r, i) => ({r, i, x: intensity(r)})).filter(p => p.x > 0 && p.r.macs_per_cycle > 0);
  if (!used.length) { $(id).replaceChildren(element("p", "No layer multiplies.", "hint")); return; }
  const low = Math.min(...used.map(p => p.x), A.peak.macs / slope) / 2, high = Math.max(...used.map(p => p.x), A.peak.macs / slope) * 2;
  const traces = [{type: "scatter", mode: "lines", x: [low, A.peak.macs / slope, high], y: [low * slope, A.peak.macs, A.peak.macs],
    line: {color: "#1c2530", width: 2}, hoverinfo: "skip"}];
  traces.push({type: "scatter", mode: "markers", x: used.map(p => p.x), y: used.map(p => p.r.macs_per_cycle), customdata: used.map(p => p.r.layer),
    marker: {size: used.map(p => 7 + 20 * Math.sqrt(p.r.cycles / A.totals.cycles)), color: used.map(p => COLOUR[p.r.limit]), opacity: .8, line: {width: 1, color: "#fff"}},
    hovertext: used.map(p => hover[p.i]), hoverinfo: "text"});
  Plotly.newPlot(id, traces, layout({xaxis: logAxis(title, low, high), yaxis: logAxis("multiply-accumulates per cycle", Math.min(A.peak.macs / 12, ...used.map(p => p.r.macs_per_cycle / 1.5)), A.peak.macs * 1.6),
    annotations: [{x: Math.log10(high), y: Math.log10(A.peak.macs), xanchor: "right", yanchor: "bottom", text: `array: ${A.peak.macs}`, showarrow: false}]}), OPTIONS);
  clickable(id, p => p.customdata);
}

function memory() {
  const total = A.totals.cycles || 1;
  const lives = A.lives.map(l => ({...l, width: Math.max(l.end - l.begin, total / 400)}));
  const kind = {};
  A.rows.forEach(r => { kind[r.layer] = r.limit; });
  $("memory-hint").textContent += ` The core has ${number(A.airam_rows)} rows.`;
  if (!lives.length) { $("memory").replaceChildren(element("p", "No map lies in the AI RAM.", "hint")); return; }
  const top = Math.max(...lives.map(l => l.row + l.rows)), bottom = Math.min(...lives.map(l => l.row)), room = (top - bottom) / 20;
  const rowRange = [Math.max(0, bottom - room), top + room];
  Plotly.newPlot("memory", [{type: "bar", x: lives.map(l => l.begin + l.width / 2), width: lives.map(l => l.width), base: lives.map(l => l.row),
    y: lives.map(l => l.rows), customdata: lives.map(l => l.layer), hoverinfo: "text", hovertext: lives.map(l =>
      `${l.layer < 0 ? "input" : "layer " + l.layer}<br>rows ${number(l.row)} to ${number(l.row + l.rows - 1)} (${bytes(l.rows * 64)})<br>cycles ${number(l.begin)} to ${number(l.end)}`),
    marker: {color: lives.map(l => COLOUR[kind[l.layer]] || "#c4ccd6"), opacity: .75, line: {color: "#fff", width: 1}}}],
    layout({barmode: "overlay", xaxis: axis("cycles", {range: [0, total]}), yaxis: axis("row of 64 bytes", {range: rowRange}),
      shapes: [{type: "line", xref: "paper", x0: 0, x1: 1, y0: A.airam_rows, y1: A.airam_rows, line: {color: "#e76f51", dash: "dot", width: 1}}]}), OPTIONS);
  clickable("memory", p => p.customdata);
}

function traffic() {
  const many = A.rows.length > 40;
  const series = [["weights, once", r => r.weight_bytes, "#e76f51"], ["weights, again", r => r.fetched_bytes - r.weight_bytes, "#f4a58f"], ["tables", r => r.table_bytes, "#a9b3bf"]];
  Plotly.newPlot("traffic", series.map(([name, of, colour]) => ({type: "bar", name, x: NAMES, y: A.rows.map(of), marker: {color: colour},
    hovertemplate: `layer %{x}: %{y:,} bytes, ${name}<extra></extra>`})),
    layout({barmode: "stack", bargap: .15, showlegend: true, margin: {t: 30}, yaxis: axis("bytes"),
      xaxis: axis("layer", {type: "category", tickangle: many ? -90 : 0, tickfont: {size: many ? 8 : 10}})}), OPTIONS);
  clickable("traffic", p => A.rows[p.pointIndex].layer);
}

function graph() {
  const WIDE = 168, HIGH = 38, STEP_X = 190, STEP_Y = 58, SVG = "http://www.w3.org/2000/svg";
  const make = (tag, attributes, parent) => {
    const made = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };
  const kind = {};
  A.rows.forEach(r => { kind[r.layer] = r.limit; });
  const columns = 1 + Math.max(...A.layers.map(l => l.column)), ranks = 1 + Math.max(...A.layers.map(l => l.rank));
  const side = 44, width = columns * STEP_X + 2 * side, height = ranks * STEP_Y + 10;
  const svg = make("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "network"}, $("graph"));
  const x = l => side + l.column * STEP_X + STEP_X / 2, y = l => 5 + l.rank * STEP_Y;
  for (const layer of A.layers) for (const source of layer.reads) {
    if (source < 0) continue;
    const from = A.layers[source], x0 = x(from), y0 = y(from) + HIGH, x1 = x(layer), y1 = y(layer);
    const far = layer.rank - from.rank > 1;
    const out = far && from.column === layer.column ? x0 + WIDE / 2 + 10 + Math.min(30, 4 * (layer.rank - from.rank)) : null;
    const d = out === null ? `M${x0} ${y0} C${x0} ${y0 + 14} ${x1} ${y1 - 14} ${x1} ${y1}`
      : `M${x0 + WIDE / 2} ${y0 - HIGH / 2} C${out} ${y0} ${out} ${y1} ${x1 + WIDE / 2} ${y1 + HIGH / 2}`;
    make("path", {d, fill: "none", stroke: "#93a1b0", "stroke-width": 1.4}, svg);
  }
  for (const layer of A.layers) {
    const group = make("g", {class: "node", "data-layer": layer.index, tabindex: 0}, svg);
    make("rect", {x: x(layer) - WIDE / 2, y: y(layer), width: WIDE, height: HIGH, rx: 6, fill: layer.where === "kpu" ? "#fff" : "#f1f3f6", stroke: COLOUR[kind[layer.index]] || "#b8c2cd", "stroke-width": 2}, group);
    make("text", {x: x(layer), y: y(layer) + 15, "text-anchor": "middle", "font-weight": 600}, group).textContent = `${layer.index} ${layer.kind}`.slice(0, 24);
    make("text", {x: x(layer), y: y(layer) + 30, "text-anchor": "middle", fill: "#5b6775"}, group).textContent = shape(layer.out_shape).slice(0, 26);
    group.addEventListener("click", () => select(layer.index));
    group.addEventListener("keydown", event => { if (event.key === "Enter") select(layer.index); });
  }
  if (ranks > 30) $("network").classList.add("tall");
}

const COLUMNS = [
  ["layer", r => r.index, r => r.index], ["kind", r => r.kind, r => r.kind, true], ["pool", r => pool(r), r => pool(r), true],
  ["input", r => r.in_shape.reduce((a, b) => a * b, 1), r => shape(r.in_shape)], ["output", r => r.out_shape.reduce((a, b) => a * b, 1), r => shape(r.out_shape)],
  ["M MAC", r => r.cost ? r.cost.effective_macs : -1, r => r.cost ? number(r.cost.effective_macs / 1e6, 2) : ""],
  ["cycles", r => r.cost ? r.cost.cycles : -1, r => r.cost ? number(r.cost.cycles) : ""],
  ["use %", r => r.cost ? r.cost.utilisation_percent : -1, r => r.cost ? number(r.cost.utilisation_percent, 1) : ""],
  ["limit", r => r.cost ? r.cost.limit : "host", r => r.cost ? r.cost.limit : "host", true],
  ["K210 cycles", r => r.cost ? r.cost.chip_cycles : -1, r => r.cost ? number(r.cost.chip_cycles) : ""],
  ["K210 : this", r => r.cost ? r.cost.chip_ratio : -1, r => r.cost ? number(r.cost.chip_ratio, 1) : ""],
  ["fetched", r => r.cost ? r.cost.fetched_bytes : -1, r => r.cost ? number(r.cost.fetched_bytes) : ""]];

function sortable(table, columns, rows, lineOf) {
  const head = element("tr"), body = element("tbody");
  let order = null;
  function fill() {
    body.replaceChildren(...rows.map(lineOf));
    mark();
  }
  columns.forEach(([name, key, , text]) => {
    const cell = element("th", undefined, text ? "text" : ""), button = element("button", name);
    button.type = "button";
    button.addEventListener("click", () => {
      const down = order && order[0] === name ? !order[1] : !text && name !== "layer";
      order = [name, down];
      rows.sort((a, b) => { const p = key(a), q = key(b); return (p < q ? -1 : p > q ? 1 : 0) * (down ? -1 : 1); });
      for (const other of head.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      fill();
    });
    cell.append(button);
    head.append(cell);
  });
  const top = element("thead");
  top.append(head);
  table.replaceChildren(top, body);
  fill();
}

function layerTable() {
  const byLayer = {};
  A.rows.forEach(r => { (byLayer[r.layer] = byLayer[r.layer] || []).push(r); });
  const rows = A.layers.flatMap(layer => (byLayer[layer.index] || [null]).map(cost => ({...layer, cost})));
  sortable($("table"), COLUMNS, rows, row => {
    const line = element("tr");
    line.dataset.layer = row.index;
    COLUMNS.forEach(([name, , show, text]) => {
      const cell = element("td", show(row), text ? "text" : "");
      if (name === "limit" && row.cost) {
        const dot = element("span", undefined, "dot");
        dot.style.background = COLOUR[row.cost.limit];
        cell.prepend(dot);
      }
      line.append(cell);
    });
    line.addEventListener("click", () => select(row.index));
    return line;
  });
}

function mark() {
  document.querySelectorAll("#table tbody tr").forEach(line => line.classList.toggle("picked", Number(line.dataset.layer) === picked));
  document.querySelectorAll("#graph g.node").forEach(node => node.classList.toggle("picked", Number(node.dataset.layer) === picked));
}

function select(index) {
  picked = index;
  $("choice").value = String(index);
  mark();
  const layer = A.layers[index], costs = A.rows.filter(r => r.layer === index), map = A.maps[index];
  const facts = [["operator", `${layer.name} (${layer.where})`], ["kind", layer.kind + pool(layer, ", pool ")],
    ["input", shape(layer.in_shape)], ["output", shape(layer.out_shape)],
    ["reads", layer.reads.map(s => s < 0 ? "the model's input" : `layer ${s}`).join(", ") || "constants"]];
  for (const c of costs) {
    facts.push(["cycles", `${number(c.cycles)} (cycle model: ${number(c.predicted)})`], ["limit", c.limit]);
    for (const [key, name] of PARTS) facts.push([name, `${number(c[key])} cycles, ${number(100 * c[key] / c.cycles, 1)} %`]);
    facts.push(["multiply-accumulates", `${number(c.effective_macs)} that count, ${number(c.macs)} in all`], ["per cycle", `${number(c.macs_per_cycle, 1)} of ${A.peak.macs}`],
      ["weights", `${number(c.weight_bytes)} bytes, ${number(c.fetched_bytes)} fetched`], ["AI-RAM rows read", number(c.rows_read)], ["K210", `${number(c.chip_cycles)} cycles, ${number(c.chip_ratio, 1)} \u00d7`]);
  }
  const list = element("dl");
  for (const [name, value] of facts) list.append(element("dt", name), element("dd", value));
  const right = element("div");
  if (map && map.picture) {
    const image = element("img");
    image.src = map.picture;
    image.alt = `feature map of layer ${index}`;
    right.append(image, element("p", `${map.shown < map.channels ? `the first ${map.shown} of ${map.channels}` : map.channels} channels; values ${number(map.low, map.low % 1 ? 3 : 0)} (black) to ${number(map.high, map.high % 1 ? 3 : 0)} (white)${A.given.length ? "" : "; the input is zeros: give a picture to see more"}`, "hint"));
  } else right.append(element("p", "The report holds no feature map of this layer.", "hint"));
  $("layer").replaceChildren(list, right);
  const at = A.rows.map((r, i) => i).filter(i => A.rows[i].layer === index).map(i => NAMES[i]);
  const shapes = at.length ? [{type: "rect", xref: "x", yref: "paper", x0: NAMES.indexOf(at[0]) - .5, x1: NAMES.indexOf(at[at.length - 1]) + .5, y0: 0, y1: 1, fillcolor: "#ffd54a", opacity: .3, line: {width: 0}, layer: "below"}] : [];
  for (const id of ["bars", "traffic"]) if ($(id).data) Plotly.relayout(id, {shapes});
}

function compare() {
  if (!B) return;
  $("comparison").hidden = false;
  const named = labels(B.rows);
  const rows = DATA.pairs.map(([a, b]) => ({a: a === null ? null : A.rows[a], b: b === null ? null : B.rows[b], an: a === null ? "" : NAMES[a], bn: b === null ? "" : named[b]}));
  const x = rows.map(r => r.an === r.bn ? r.an : `${r.an || "\u2013"} | ${r.bn || "\u2013"}`), many = rows.length > 40;
  Plotly.newPlot("pairs-chart", [["A", r => r.a, "#457b9d"], ["B", r => r.b, "#e9a23b"]].map(([name, of, colour]) => ({
    type: "bar", name, x, y: rows.map(r => of(r) ? of(r).cycles : null), marker: {color: colour}, hovertemplate: `${name}, layer %{x}: %{y:,} cycles<extra></extra>`})),
    layout({barmode: "group", showlegend: true, margin: {t: 30}, yaxis: axis("cycles"), xaxis: axis("layer", {type: "category", tickangle: many ? -90 : 0, tickfont: {size: many ? 8 : 11}})}), OPTIONS);
  const cycles = p => p ? p.cycles : 0, change = r => cycles(r.b) - cycles(r.a);
  const columns = [["A", r => r.a ? r.a.layer : -1, r => r.an], ["B", r => r.b ? r.b.layer : -1, r => r.bn], ["kind", r => (r.a || r.b).kind, r => (r.a || r.b).kind, true],
    ["output", r => (r.a || r.b).out_shape.join(), r => shape((r.a || r.b).out_shape)], ["cycles A", r => cycles(r.a), r => r.a ? number(r.a.cycles) : ""],
    ["cycles B", r => cycles(r.b), r => r.b ? number(r.b.cycles) : ""], ["B \u2212 A", change, r => number(change(r))],
    ["%", r => r.a && r.b ? change(r) / r.a.cycles : 0, r => r.a && r.b ? number(100 * change(r) / r.a.cycles, 1) : ""],
    ["limit A", r => r.a ? r.a.limit : "", r => r.a ? r.a.limit : "", true], ["limit B", r => r.b ? r.b.limit : "", r => r.b ? r.b.limit : "", true]];
  sortable($("pairs-table"), columns, rows, row => {
    const line = element("tr");
    columns.forEach(([, , show, text]) => line.append(element("td", show(row), text ? "text" : "")));
    if (row.a) line.addEventListener("click", () => select(row.a.layer));
    return line;
  });
}

function begin() {
  $("title").textContent = B ? `A: ${A.model} \u2013 B: ${B.model}` : A.model;
  const about = f => `${f.format} of ${f.compiler}, ${f.weight_bits}-bit weights; configuration \u2018${f.config.name}\u2019, ${f.config.pes} processing elements; ${f.measured ? "cycles counted by the RTL" : "cycles by the cycle model"}`;
  $("about").textContent = B ? `A: ${about(A)}, ${number(A.totals.cycles)} cycles. B: ${about(B)}, ${number(B.totals.cycles)} cycles. Below the comparison, A.`
    : `${about(A)}. Input: ${A.given.length ? A.given.join(", ") : "zeros"}.`;
  $("footer").textContent = `openkpu ${A.openkpu}. The data of this page is JSON in its element \u2018data\u2019.`;
  $("mhz").value = A.mhz;
  $("mhz").addEventListener("input", cards);
  A.layers.forEach(layer => { const option = element("option", `${layer.index}: ${layer.kind}, ${shape(layer.out_shape)}`); option.value = layer.index; $("choice").append(option); });
  $("choice").addEventListener("change", () => select(Number($("choice").value)));
  cards();
  compare();
  layerTable();
  if (A.layers.length) graph();
  if (A.rows.length) {
    bars();
    roof("roof-bytes", "multiply-accumulates per parameter byte", r => r.effective_macs / (r.fetched_bytes + r.table_bytes), A.peak.bytes);
    roof("roof-rows", "multiply-accumulates per AI-RAM row read", r => r.effective_macs / r.rows_read, A.peak.rows);
    traffic();
  } else $("bars-hint").textContent = "No layer runs on the KPU.";
  memory();
  if (A.layers.length) select(A.rows.length ? A.rows.reduce((a, b) => b.cycles > a.cycles ? b : a).layer : 0);
  const resize = () => document.querySelectorAll(".chart").forEach(chart => { if (chart.data) Plotly.Plots.resize(chart); });
  window.addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(chart => { if (chart.data) Plotly.relayout(chart, {width: 680, autosize: false}); }));
  window.addEventListener("afterprint", () => { document.querySelectorAll(".chart").forEach(chart => { if (chart.data) Plotly.relayout(chart, {width: null, autosize: true}); }); resize(); });
  document.body.dataset.ready = "yes";
}
begin();
