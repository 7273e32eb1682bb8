// Draws the charts of a page as SVG: lines, bars, heat maps and diagrams. A chart is drawn in the width that it has, and
// again when the width changes, so that its text keeps its size on a phone. Colours are classes and variables
// of page.css. Read next: page.js.
"use strict";

window.inkling = { models: {}, data: null, values: {}, charts: {} };

inkling.charting = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function svg(name, attributes = {}, ...children) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }
  function html(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const textWidth = (() => {
    const context = document.createElement("canvas").getContext("2d");
    return (text, weight = 400) => {
      context.font = weight + " 13px " + getComputedStyle(document.body).fontFamily;
      return context.measureText(text).width;
    };
  })();

  const DIRECT = 550;  // font-weight of the names beside the curves (.direct in page.css)

  // The beginning of a text that fits into a width.
  function fitted(text, width, weight) {
    if (textWidth(text, weight) <= width) return text;
    let end = text.length;
    while (end > 1 && textWidth(text.slice(0, end) + "…", weight) > width) --end;
    return text.slice(0, end) + "…";
  }

  function shortNumber(x) {
    if (x === 0) return "0";
    const size = Math.abs(x);
    if (size >= 1e6 || size < 1e-3) return x.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e").replace("-", "−");
    if (size >= 1000) return Math.round(x).toLocaleString("en-US").replace("-", "−");
    return String(Number(x.toPrecision(4))).replace("-", "−");
  }

  // ---- Scales ----

  function linearTicks(min, max, count) {
    const raw = (max - min) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
    const ticks = [];
    for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; ++i) ticks.push(i * step);
    return ticks;
  }
  function logTicks(min, max, count) {
    const first = Math.ceil(Math.log10(min) - 1e-9), last = Math.floor(Math.log10(max) + 1e-9), ticks = [];
    const every = Math.max(1, Math.ceil((last - first + 1) / count));
    for (let e = first; e <= last; e += every) ticks.push(10 ** e);
    if (ticks.length >= 3) return ticks;
    const more = [];
    for (let e = first - 1; e <= last; ++e)
      for (const m of [1, 2, 5]) if (m * 10 ** e >= min && m * 10 ** e <= max) more.push(m * 10 ** e);
    return more.length >= 2 ? more : linearTicks(min, max, count).filter((t) => t > 0);
  }
  function makeScale(min, max, log, from, to, count) {
    const f = log ? Math.log : (x) => x;
    const at = (x) => from + ((f(x) - f(min)) / (f(max) - f(min))) * (to - from);
    return { at, ticks: log ? logTicks(min, max, count) : linearTicks(min, max, count) };
  }
  function extent(values, log, fixedMin, fixedMax) {
    if (log && !(fixedMin > 0)) fixedMin = undefined;  // 0 has no logarithm
    if (log && !(fixedMax > 0)) fixedMax = undefined;
    const usable = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
    let min = fixedMin ?? Math.min(...usable), max = fixedMax ?? Math.max(...usable);
    if (usable.length === 0) [min, max] = log ? [0.1, 1] : [0, 1];
    if (min === max) [min, max] = log ? [min / 2, max * 2] : [min - 0.5, max + 0.5];
    if (!log && fixedMin === undefined && min > 0 && min < (max - min) * 0.5) min = 0;
    const room = log ? 0 : (max - min) * 0.04;
    return [fixedMin ?? (min === 0 ? 0 : min - room), fixedMax ?? max + room];
  }
  // Moves labels apart that would overlap.
  function spread(labels, gap, bottom) {
    labels.sort((a, b) => a.y - b.y);
    for (let i = 1; i < labels.length; ++i) labels[i].y = Math.max(labels[i].y, labels[i - 1].y + gap);
    const over = labels.length ? labels[labels.length - 1].y - bottom : 0;
    if (over > 0) labels[labels.length - 1].y -= over;
    for (let i = labels.length - 2; i >= 0; --i) labels[i].y = Math.min(labels[i].y, labels[i + 1].y - gap);
  }

  function frame(canvas, width, height, title) {
    canvas.replaceChildren();
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
    root.append(svg("title", {}, title));
    return root;
  }
  function showNote(canvas, x, y, lines) {
    const note = canvas.querySelector(".note") ?? canvas.appendChild(html("div", { class: "note" }));
    note.replaceChildren(...lines.map((line) => html("div", {}, line)));
    note.hidden = false;
    const left = Math.min(Math.max(x + 12, 0), canvas.clientWidth - note.offsetWidth);
    note.style.left = `${x + 12 + note.offsetWidth > canvas.clientWidth ? Math.max(0, x - 12 - note.offsetWidth) : left}px`;
    note.style.top = `${Math.max(0, y - note.offsetHeight / 2)}px`;
  }
  const hideNote = (canvas) => canvas.querySelectorAll(".note").forEach((note) => (note.hidden = true));
  function say(text) {
    const place = document.getElementById("said");
    if (place) place.textContent = text;
  }

  // ---- Lines ----

  function legend(canvas, chart) {
    const keys = [...chart.series, ...chart.marks].map((s) =>
      html("span", { class: `key look-${s.look}` }, s.name ?? s.label));
    canvas.prepend(html("div", { class: "legend", "aria-hidden": "true" }, ...keys));
  }

  function drawLine(canvas, chart, state) {
    const width = canvas.clientWidth, narrow = width < 560, height = narrow ? 260 : 340;
    const logX = state.logX ?? chart.log_x, logY = state.logY ?? chart.log_y;
    const named = chart.series.filter((s) => s.look !== "faint" || s.name);
    const marksY = chart.marks.filter((m) => m.axis === "y"), marksX = chart.marks.filter((m) => m.axis === "x");
    const xs = chart.series.flatMap((s) => s.x.map(Number)).concat(marksX.map((m) => m.at));
    const ys = chart.series.flatMap((s) => s.y.map(Number)).concat(marksY.map((m) => m.at));
    const [x0, x1] = extent(xs, logX), [y0, y1] = extent(ys, logY, chart.y_min, chart.y_max);
    const labelled = !narrow && named.length + marksY.length > 0;
    const longest = Math.max(0, ...named.map((s) => textWidth(s.name, DIRECT)), ...marksY.map((m) => textWidth(m.label, DIRECT)));
    const right = labelled ? Math.min(longest + 12, width * 0.34) : 14, top = 30, bottom = height - 42;
    const probe = makeScale(y0, y1, logY, bottom, top, 5);
    const left = 12 + Math.max(20, ...probe.ticks.map((t) => textWidth(shortNumber(t))));
    const trueX0 = chart.series.length && !logX ? Math.min(...xs.filter(Number.isFinite)) : x0;
    const wide = !logX && new Set(xs).size > 1;  // one point alone is in the middle
    const X = makeScale(wide ? Math.min(trueX0, x0 < 0 && trueX0 >= 0 ? 0 : trueX0) : x0, wide ? Math.max(...xs.filter(Number.isFinite)) : x1,
                        logX, left, width - right, narrow ? 4 : 7);
    const Y = makeScale(y0, y1, logY, bottom, top, 5);

    const root = frame(canvas, width, height, chart.title);
    root.setAttribute("tabindex", "0");
    for (const t of Y.ticks) {
      root.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: Y.at(t), y2: Y.at(t) }),
                  svg("text", { class: "tick", x: left - 8, y: Y.at(t) + 4, "text-anchor": "end" }, shortNumber(t)));
    }
    let free = 0;  // no label begins before the end of the one before it
    for (const t of X.ticks) {
      const label = shortNumber(t), half = textWidth(label) / 2, x = Math.min(X.at(t), width - half);  // the last one stays inside
      if (x - half < free) continue;
      free = x + half + 6;
      root.append(svg("text", { class: "tick", x, y: bottom + 20, "text-anchor": "middle" }, label));
    }
    root.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: bottom, y2: bottom }),
                svg("text", { class: "label", x: 0, y: 14 }, chart.y_label),
                svg("text", { class: "label", x: width - right, y: height - 4, "text-anchor": "end" }, chart.x_label));

    const clip = `clip-${Math.random().toString(36).slice(2)}`;
    root.append(svg("clipPath", { id: clip }, svg("rect", { x: left - 4, y: top - 6, width: width - right - left + 8, height: bottom - top + 10 })));
    const plot = root.appendChild(svg("g", { "clip-path": `url(#${clip})` }));
    const labels = [];
    for (const m of chart.marks) {
      if (m.axis === "y" ? logY && m.at <= 0 : logX && m.at <= 0) continue;
      const across = m.axis === "y";
      plot.append(across ? svg("line", { class: `line look-${m.look}`, x1: left, x2: width - right, y1: Y.at(m.at), y2: Y.at(m.at) })
                         : svg("line", { class: `line look-${m.look}`, x1: X.at(m.at), x2: X.at(m.at), y1: top, y2: bottom }));
      if (across) labels.push({ y: Y.at(m.at), text: m.label, look: m.look });
      else if (m.label) root.append(svg("text", { class: `direct look-${m.look}`, x: X.at(m.at), y: top - 8, "text-anchor": "middle" }, m.label));
    }
    const shown = [];
    for (const s of chart.series) {
      const points = s.x.map((x, i) => [X.at(Number(x)), Y.at(Number(s.y[i])), i]).filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
      if (points.length === 0) continue;
      let path = "", before = -2;
      for (const [x, y, i] of points) {
        path += `${i === before + 1 ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        before = i;
      }
      plot.append(svg("path", { class: `line look-${s.look}`, d: path }));
      if (chart.dots || points.length === 1) for (const [x, y] of points) plot.append(svg("circle", { class: `dot look-${s.look}`, cx: x, cy: y, r: 3 }));
      const last = points[points.length - 1];
      if (s.name) labels.push({ y: Math.min(Math.max(last[1], top), bottom), text: s.name, look: s.look });
      if (s.name) shown.push({ series: s, points });
    }
    canvas.append(root);
    if (narrow) legend(canvas, { series: named, marks: chart.marks.filter((m) => m.label) });
    else {
      spread(labels, 16, bottom);
      for (const l of labels) root.append(svg("text", { class: `direct look-${l.look}`, x: width - right + 8, y: l.y + 4 }, fitted(l.text, right - 10, DIRECT)));
    }
    addReading(canvas, root, chart, shown, { left, right: width - right, top, bottom });
  }

  // Reading values with the pointer, or with the arrow keys when the chart has the focus.
  function addReading(canvas, root, chart, shown, box) {
    if (shown.length === 0) return;
    const cursor = root.appendChild(svg("g", { class: "cursor", visibility: "hidden" }));
    const monotonic = shown.every(({ points }) => points.every((p, i) => i === 0 || p[0] >= points[i - 1][0]));
    const nearest = (points, x, y) => points.reduce((best, p) => {
      const d = monotonic ? Math.abs(p[0] - x) : Math.hypot(p[0] - x, p[1] - y);
      return d < best.d ? { d, p } : best;
    }, { d: Infinity, p: points[0] });
    let at = 0;
    function show(x, y) {
      cursor.replaceChildren();
      cursor.setAttribute("visibility", "visible");
      let found = shown.map(({ series, points }) => ({ series, ...nearest(points, x, y) }));
      if (!monotonic) found = [found.reduce((a, b) => (b.d < a.d ? b : a))];
      else {
        const least = Math.min(...found.map((f) => f.d));
        found = found.filter((f) => f.d <= least + 12);
      }
      const lines = [];
      if (monotonic) {
        const px = found[0].p[0];
        cursor.append(svg("line", { class: "axis", x1: px, x2: px, y1: box.top, y2: box.bottom }));
        lines.push(`${chart.x_label} ${shortNumber(Number(found[0].series.x[found[0].p[2]]))}`);
      }
      for (const { series, p } of found) {
        cursor.append(svg("circle", { class: `dot look-${series.look}`, cx: p[0], cy: p[1], r: 4 }));
        const value = shortNumber(Number(series.y[p[2]]));
        lines.push(monotonic ? `${series.name}: ${value}` : `${series.name}, point ${p[2]}: ${shortNumber(Number(series.x[p[2]]))}, ${value}`);
      }
      showNote(canvas, found[0].p[0], found[0].p[1], lines);
      return lines.join(", ");
    }
    function hide() {
      cursor.setAttribute("visibility", "hidden");
      hideNote(canvas);
    }
    root.addEventListener("pointermove", (event) => {
      const area = root.getBoundingClientRect();
      show(event.clientX - area.left, event.clientY - area.top);
    });
    root.addEventListener("pointerleave", hide);
    root.addEventListener("blur", hide);
    root.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const { points } = shown[0];
      at = Math.min(Math.max(at + step * Math.max(1, Math.floor(points.length / 60)), 0), points.length - 1);
      say(show(points[at][0], points[at][1]));
    });
  }

  // ---- Bars ----

  function drawBars(canvas, chart) {
    const width = canvas.clientWidth, longest = Math.max(...chart.bars.map((b) => textWidth(b.label))) + 12;
    const above = longest > width * 0.36;  // long labels stand above their bars
    const row = above ? 44 : 28, top = 4, labelWidth = above ? 1 : longest, lift = above ? 18 : 0;
    const values = chart.bars.map((b) => inkling.values[b.number] ?? Number(b.value));
    const finite = values.filter(Number.isFinite);
    const max = Math.max(chart.max ?? 0, ...finite, 0), min = Math.min(0, ...finite);
    const span = max - min || 1, room = 64, length = width - labelWidth - room - (min < 0 ? room : 0);
    const start = labelWidth + (min < 0 ? room : 0), at = (v) => start + ((v - min) / span) * length;
    const height = top + chart.bars.length * row + (chart.x_label ? 22 : 4);
    const root = frame(canvas, width, height, chart.title);
    root.setAttribute("role", "group");
    chart.bars.forEach((bar, i) => {
      const y = top + i * row, value = values[i], drawn = Number.isFinite(value) ? value : 0;
      const printed = inkling.print(bar.number, value), negative = drawn < 0;
      const label = above ? { x: 0, y: y + 15 } : { x: labelWidth - 10, y: y + 18, "text-anchor": "end" };
      root.append(svg("g", { class: "bar", tabindex: "0", role: "img", "data-n": bar.number, "aria-label": `${bar.label}: ${printed}` },
        svg("rect", { class: "hit", x: 0, y, width, height: row }),
        svg("text", { class: "bar-label", ...label }, fitted(bar.label, width)),
        svg("rect", { class: `fill look-${bar.look}`, x: Math.min(at(0), at(drawn)), y: y + 5 + lift, width: Math.max(Math.abs(at(drawn) - at(0)), 1), height: 18, rx: 2 }),
        svg("text", { class: "bar-value", x: at(drawn) + (negative ? -7 : 7), y: y + 18 + lift, "text-anchor": negative ? "end" : "start" }, printed)));
    });
    root.append(svg("line", { class: "axis", x1: at(0), x2: at(0), y1: top, y2: top + chart.bars.length * row }));
    if (chart.x_label) root.append(svg("text", { class: "label", x: labelWidth, y: height - 4 }, chart.x_label));
    canvas.append(root);
  }

  // ---- Heat maps ----

  // A number with a minus sign instead of a dash, and without a sign if it is printed as 0.
  function fixed(value, digits) {
    const text = value.toFixed(digits);
    return (/^-[0.]*$/.test(text) ? text.slice(1) : text).replace("-", "−");
  }

  function drawHeat(canvas, chart) {
    const width = canvas.clientWidth, columns = chart.columns.length, rows = chart.rows.length;
    const labelWidth = Math.min(Math.max(...chart.rows.map(textWidth)) + 12, width * 0.35);
    const cell = Math.max(1, Math.min(54, (width - labelWidth - 2) / columns)), rowHeight = Math.min(cell, 38), gap = cell > 6 ? 1 : 0;
    const longest = Math.max(...chart.columns.map(textWidth)), turned = longest > cell - 4 && columns > 1;
    const top = (turned ? Math.min(longest, 110) + 10 : 22) + (chart.column_label ? 18 : 0);
    const height = top + rows * rowHeight + 6;
    const values = chart.values.map(Number), finite = values.filter(Number.isFinite);
    const most = Math.max(...finite.map(Math.abs), 1e-12);
    const root = frame(canvas, width, height, chart.title);
    root.setAttribute("tabindex", "0");
    if (chart.column_label) root.append(svg("text", { class: "label", x: labelWidth, y: 12 }, chart.column_label));
    if (chart.row_label) root.append(svg("text", { class: "label", x: 0, y: top - 6 }, chart.row_label));
    const every = turned ? Math.ceil(14 / cell) : 1;
    chart.columns.forEach((label, c) => {
      if (c % every) return;
      const x = labelWidth + (c + 0.5) * cell, y = top - 6;
      root.append(turned ? svg("text", { class: "tick", transform: `translate(${x + 4} ${y}) rotate(-90)` }, fitted(label, 110))
                         : svg("text", { class: "tick", x, y, "text-anchor": "middle" }, label));
    });
    values.forEach((value, i) => {
      const r = Math.floor(i / columns), c = i % columns, share = Math.round((Math.abs(value) / most) * 100);
      const x = labelWidth + c * cell, y = top + r * rowHeight, empty = !Number.isFinite(value);
      const colour = chart.diverging && value < 0 ? "--wrong" : "--main";
      const rect = svg("rect", { class: empty ? "heat empty" : "heat", x, y, width: cell - gap, height: rowHeight - gap, rx: cell > 12 ? 2 : 0 });
      if (!empty) rect.style.fill = `color-mix(in srgb, var(${colour}) ${share}%, var(--panel))`;
      root.append(rect);
      if (!empty && cell >= 30 && textWidth(value.toFixed(chart.digits)) < cell - 2)
        root.append(svg("text", { class: share > 55 ? "heat-value strong" : "heat-value", x: x + cell / 2 - 0.5, y: y + rowHeight / 2 + 4, "text-anchor": "middle" },
                        fixed(value, chart.digits)));
    });
    chart.rows.forEach((label, r) => {
      if (rowHeight < 10 && r % Math.ceil(12 / rowHeight)) return;
      root.append(svg("text", { class: "tick", x: labelWidth - 8, y: top + (r + 0.5) * rowHeight + 4, "text-anchor": "end" }, fitted(label, labelWidth - 8)));
    });
    const frameRect = root.appendChild(svg("rect", { class: "cell-frame", width: cell - gap, height: rowHeight - gap, visibility: "hidden" }));
    canvas.append(root);

    let at = 0;
    function show(r, c) {
      frameRect.setAttribute("visibility", "visible");
      frameRect.setAttribute("x", labelWidth + c * cell);
      frameRect.setAttribute("y", top + r * rowHeight);
      const value = values[r * columns + c];
      const text = `${chart.rows[r]} → ${chart.columns[c]}: ${Number.isFinite(value) ? fixed(value, chart.digits + 2) : "masked"}`;
      showNote(canvas, labelWidth + (c + 1) * cell, top + (r + 0.5) * rowHeight, [text]);
      return text;
    }
    function hide() {
      frameRect.setAttribute("visibility", "hidden");
      hideNote(canvas);
    }
    root.addEventListener("pointermove", (event) => {
      const area = root.getBoundingClientRect();
      const c = Math.floor((event.clientX - area.left - labelWidth) / cell), r = Math.floor((event.clientY - area.top - top) / rowHeight);
      if (c >= 0 && c < columns && r >= 0 && r < rows) show(r, c);
      else hide();
    });
    root.addEventListener("pointerleave", hide);
    root.addEventListener("blur", hide);
    root.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
      if (!step) return;
      event.preventDefault();
      at = Math.min(Math.max(at + step, 0), values.length - 1);
      say(show(Math.floor(at / columns), at % columns));
    });
  }

  // ---- Diagrams: boxes in rows ----

  function drawDiagram(canvas, chart) {
    const width = canvas.clientWidth, rows = Math.max(...chart.nodes.map((n) => n.row)) + 1, high = 44, gap = 30;
    const inRow = Array.from({ length: rows }, (_, r) => chart.nodes.filter((n) => n.row === r));
    const root = frame(canvas, width, rows * (high + gap) - gap + 4, chart.title);
    const place = new Map();
    inRow.forEach((nodes, r) => {
      const room = width / nodes.length;
      nodes.forEach((node, i) => {
        const wide = Math.min(room - 8, Math.max(textWidth(node.label), textWidth(node.note)) + 28);
        place.set(node, { x: (i + 0.5) * room, y: r * (high + gap) + 2, wide });
      });
    });
    for (const [from, to] of chart.edges) {
      const a = place.get(chart.nodes[from]), b = place.get(chart.nodes[to]), middle = (a.y + high + b.y) / 2;
      const down = b.y > a.y;
      root.append(svg("path", { class: "arrow", d: `M${a.x} ${a.y + (down ? high : 0)}C${a.x} ${middle} ${b.x} ${middle} ${b.x} ${b.y + (down ? 0 : high)}` }),
                  svg("circle", { class: "arrow-end", cx: b.x, cy: b.y + (down ? 0 : high), r: 2.5 }));
    }
    for (const node of chart.nodes) {
      const { x, y, wide } = place.get(node);
      root.append(svg("rect", { class: `box look-${node.look}`, x: x - wide / 2, y, width: wide, height: high, rx: 6 }),
                  svg("text", { class: "box-label", x, y: y + (node.note ? 19 : 27), "text-anchor": "middle" }, fitted(node.label, wide - 6)));
      if (node.note) root.append(svg("text", { class: "tick", x, y: y + 35, "text-anchor": "middle" }, fitted(node.note, wide - 6)));
    }
    canvas.append(root);
  }

  // ---- A figure: its chart, and buttons for log scales ----

  function draw(figure, chart, state) {
    const canvas = figure.querySelector(".canvas");
    if (canvas.clientWidth === 0) return;  // in a step that is not shown
    ({ line: drawLine, bar: drawBars, heat: drawHeat, diagram: drawDiagram })[chart.kind](canvas, chart, state);
  }

  function addToggles(figure, chart, state, redraw) {
    for (const axis of ["x", "y"]) {
      if (!chart[`toggle_log_${axis}`]) continue;
      const key = axis === "x" ? "logX" : "logY";
      state[key] = chart[`log_${axis}`];
      const button = html("button", { type: "button", class: "toggle" });
      const label = () => {
        button.textContent = `${axis}: ${state[key] ? "log" : "linear"}`;
        button.setAttribute("aria-label", `${axis} axis is ${state[key] ? "logarithmic" : "linear"}, change`);
      };
      button.addEventListener("click", () => {
        state[key] = !state[key];
        label();
        redraw();
      });
      label();
      figure.querySelector("figcaption").append(" ", button);
    }
  }

  // Makes the chart of a figure. Returns a function that draws it again, with other data if given.
  function make(figure, original) {
    const state = {};
    let chart = original;
    const redraw = (changes) => {
      if (changes) chart = { ...original, ...changes };
      draw(figure, chart, state);
    };
    addToggles(figure, original, state, () => redraw());
    let width = -1;
    new ResizeObserver(() => {
      const now = figure.querySelector(".canvas").clientWidth;
      if (now !== width) redraw();
      width = now;
    }).observe(figure.querySelector(".canvas"));
    redraw();
    return { redraw, bars: original.bars ?? [] };
  }

  return { make, html, svg, say, shortNumber };
})();
