// What a page does in the browser: it explains numbers, goes through steps, moves sliders, and changes colours.
// The page's numbers are JSON inside of the file (page_json.h). charts.js draws the charts.
"use strict";

(() => {
  const { html, say } = inkling.charting;
  const byNumber = (name) => document.querySelectorAll(`[data-n="${CSS.escape(name)}"]`);

  // ---- Numbers as text: the same as printed() in numbers.cc ----

  inkling.print = (name, value) => {
    const detail = inkling.data.details[name];
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "−inf";
    if (detail.print === "count") return Math.round(value).toLocaleString("en-US").replace("-", "−");
    if (detail.print === "scientific" && value === 0) return "0";
    const text = detail.print === "scientific" ? value.toExponential(detail.digits).replace("e+", "e") : value.toFixed(detail.digits);
    return (/^-[0.]*$/.test(text) ? text.slice(1) : text).replaceAll("-", "−");
  };

  function setNumber(name, value) {
    inkling.values[name] = value;
    const text = inkling.print(name, value), engine = inkling.print(name, Number(inkling.data.numbers[name]));
    for (const element of byNumber(name)) {
      if (!element.classList.contains("n")) continue;
      element.textContent = text;
      element.classList.toggle("changed", text !== engine);
      element.setAttribute("aria-label", `${inkling.data.details[name].label || name} = ${text}`);
    }
  }

  // ---- Explaining a number: its formula, its inputs, its line of source code ----

  const tip = () => document.getElementById("tip");
  let pinned = false;

  function explanation(name) {
    const detail = inkling.data.details[name];
    const rows = [html("p", { class: "value" }, detail.label || name, " = ", html("strong", {}, inkling.print(name, inkling.values[name])))];
    if (inkling.data.formulas[name]) {
      const formula = html("p", { class: "formula" });
      formula.innerHTML = inkling.data.formulas[name];  // made by inkling, which escapes all text
      rows.push(formula);
    }
    if (detail.inputs.length) {
      const list = html("dl");
      for (const input of detail.inputs.slice(0, 8)) {
        list.append(html("dt", {}, inkling.data.details[input].label || input), html("dd", {}, inkling.print(input, inkling.values[input])));
      }
      if (detail.inputs.length > 8) list.append(html("dt", {}, `and ${detail.inputs.length - 8} more`), html("dd"));
      rows.push(list);
    }
    const source = html("p", { class: "source" }, `${detail.file}:${detail.line}`);
    if (detail.code !== "given") source.append(html("code", {}, detail.code));
    rows.push(source);
    if (detail.engine) rows.push(html("p", { class: "source" }, `runs ${detail.engine}`));
    rows.push(html("p", { class: "name" }, name));
    return rows;
  }

  function showTip(element) {
    const name = element.dataset.n, box = tip();
    box.replaceChildren(...explanation(name));
    box.hidden = false;
    element.setAttribute("aria-describedby", "tip");
    markInputs(name);
    if (window.innerWidth <= 600) {
      box.style.left = box.style.top = "";
      return;  // page.css puts it at the bottom of the window
    }
    const area = element.getBoundingClientRect();
    const left = Math.min(Math.max(8, area.left + area.width / 2 - box.offsetWidth / 2), document.documentElement.clientWidth - box.offsetWidth - 8);
    const below = area.bottom + box.offsetHeight + 10 < window.innerHeight;
    box.style.left = `${left + window.scrollX}px`;
    box.style.top = `${(below ? area.bottom + 8 : area.top - box.offsetHeight - 8) + window.scrollY}px`;
  }
  function hideTip() {
    pinned = false;
    tip().hidden = true;
    document.querySelectorAll("[aria-describedby=tip]").forEach((e) => e.removeAttribute("aria-describedby"));
    document.querySelectorAll(".input-of").forEach((e) => e.classList.remove("input-of"));
  }
  function markInputs(name) {
    document.querySelectorAll(".input-of").forEach((e) => e.classList.remove("input-of"));
    for (const input of inkling.data.details[name].inputs) byNumber(input).forEach((e) => e.classList.add("input-of"));
  }

  function explainNumbers() {
    const numberOf = (event) => event.target instanceof Element && event.target.closest("[data-n]");
    document.addEventListener("pointerover", (event) => {
      const element = numberOf(event);
      if (element && !pinned && event.pointerType === "mouse") showTip(element);
    });
    document.addEventListener("pointerout", (event) => {
      if (numberOf(event) && !pinned && event.pointerType === "mouse") hideTip();
    });
    document.addEventListener("focusin", (event) => {
      const element = numberOf(event);
      if (element) showTip(element);
      else if (!tip().contains(event.target)) hideTip();
    });
    document.addEventListener("focusout", (event) => { if (numberOf(event)) hideTip(); });
    document.addEventListener("click", (event) => {
      const element = numberOf(event);
      if (element) {
        showTip(element);
        pinned = true;
      } else if (!tip().contains(event.target)) hideTip();
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  }

  // One stop of the Tab key for each table; the arrow keys go from number to number.
  function roveThroughTables() {
    for (const table of document.querySelectorAll("table.numbers")) {
      const numbers = () => [...table.querySelectorAll(".n")].filter((n) => n.offsetParent !== null);
      table.querySelectorAll(".n").forEach((n, i) => (n.tabIndex = i === 0 ? 0 : -1));
      table.addEventListener("focusin", (event) => {
        if (!event.target.classList.contains("n")) return;
        table.querySelectorAll(".n").forEach((n) => (n.tabIndex = n === event.target ? 0 : -1));
      });
      table.addEventListener("keydown", (event) => {
        const all = numbers(), i = all.indexOf(document.activeElement);
        if (i < 0) return;
        const row = document.activeElement.closest("tr"), column = document.activeElement.closest("td, th")?.cellIndex;
        const beside = (next) => next?.cells?.[column]?.querySelector(".n");
        const to = { ArrowRight: all[i + 1], ArrowLeft: all[i - 1], ArrowDown: beside(row?.nextElementSibling), ArrowUp: beside(row?.previousElementSibling) }[event.key];
        if (!to) return;
        event.preventDefault();
        to.focus();
      });
    }
  }

  // ---- Steps ----

  function addSteps(section) {
    const steps = [...section.querySelectorAll(":scope > .step")];
    const labels = steps.map((step) => step.querySelector(".step-label").textContent);
    const bar = html("div", { class: "buttons", role: "group", "aria-label": section.getAttribute("aria-label") });
    const sequence = section.dataset.kind === "sequence";
    let at = 0;
    const button = (text, action) => {
      const b = html("button", { type: "button" }, text);
      b.addEventListener("click", action);
      return b;
    };
    const choices = sequence ? [] : labels.map((label, i) => button(label, () => show(i)));
    const back = button("← Back", () => show(at - 1)), next = button("Next →", () => show(at + 1));
    const place = html("span", { class: "place" });
    const slider = html("input", { type: "range", min: 0, max: steps.length - 1, value: 0, "aria-label": section.getAttribute("aria-label") });
    slider.addEventListener("input", () => show(Number(slider.value)));
    function show(i, quietly) {
      at = Math.min(Math.max(i, 0), steps.length - 1);
      steps.forEach((step, s) => (step.hidden = s !== at));
      choices.forEach((choice, c) => choice.setAttribute("aria-pressed", c === at));
      back.disabled = at === 0;
      next.disabled = at === steps.length - 1;
      place.textContent = `${at + 1} of ${steps.length}`;
      slider.value = at;
      slider.setAttribute("aria-valuetext", labels[at]);
      for (const chart of steps[at].querySelectorAll("figure.chart")) inkling.charts[chart.id]?.redraw();
      if (!quietly) say(labels[at]);
    }
    bar.append(...(sequence ? [back, place, next] : choices));
    if (sequence && steps.length > 4) bar.append(slider);
    section.querySelector(".title").after(bar);
    bar.addEventListener("keydown", (event) => {
      const step = event.target !== slider && { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) show(at + step);
    });
    show(0, true);
  }

  // ---- Forward and backward: values and gradients ----

  function addDirections() {
    const root = document.documentElement;
    root.dataset.direction = "forward";
    const buttons = [];
    const choose = (direction) => {
      root.dataset.direction = direction;
      buttons.forEach(([b, d]) => b.setAttribute("aria-pressed", d === direction));
    };
    for (const place of document.querySelectorAll(".direction")) {
      for (const [direction, text] of [["forward", "Forward: values"], ["backward", "Backward: gradients"]]) {
        const button = html("button", { type: "button" }, text);
        button.addEventListener("click", () => choose(direction));
        buttons.push([button, direction]);
        place.append(button);
      }
    }
    choose("forward");
  }

  // ---- Sliders ----

  const sliderValue = (input) => (input.dataset.log ? 10 ** Number(input.value) : Number(input.value));
  const sliderValues = (form) => Object.fromEntries([...form.querySelectorAll("input[type=range]")].map((i) => [i.name, sliderValue(i)]));

  function setTokens(id, tokens) {
    document.getElementById(id).querySelectorAll(".token").forEach((element, i) => {
      element.style.setProperty("--share", `${Math.round(100 * Math.min(Math.max(tokens[i].value, 0), 1))}%`);
      const note = element.querySelector("small");
      if (note) note.textContent = tokens[i].note;
    });
  }

  function addLive(form, live) {
    const inputs = [...form.querySelectorAll("input[type=range]")];
    const apply = (result) => {
      for (const [name, value] of Object.entries(result.numbers ?? {})) setNumber(name, value);
      for (const [id, chart] of Object.entries(inkling.charts)) {
        const changes = result.charts?.[id];
        if (changes || chart.bars.some((bar) => bar.number in (result.numbers ?? {}))) chart.redraw(changes);
      }
      for (const [id, tokens] of Object.entries(result.tokens ?? {})) setTokens(id, tokens);
    };
    const recompute = () => {
      for (const input of inputs) {
        const text = sliderValue(input).toPrecision(12);
        const shown = input.dataset.log ? Number(Number(text).toPrecision(3)).toString() : Number(text).toFixed(Number(input.dataset.digits));
        form.querySelector(`label[for="${CSS.escape(input.id)}"] output`).textContent = shown.replace("-", "−");
      }
      apply(inkling.models[live.model](sliderValues(form), live.data));
    };
    inputs.forEach((input) => input.addEventListener("input", recompute));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      recompute();
      const names = Object.keys(inkling.models[live.model](sliderValues(form), live.data).numbers ?? {});
      names.forEach((name) => setNumber(name, Number(inkling.data.numbers[name])));
      document.dispatchEvent(new CustomEvent("inkling-reset", { detail: form.id }));
    }));
  }

  // For the browser test: what the models compute at the initial sliders, where it is not what the engine computed.
  inkling.wrongModels = () => {
    const wrong = [];
    for (const [id, live] of Object.entries(inkling.data.live)) {
      const form = document.getElementById(id);
      const initial = Object.fromEntries([...form.querySelectorAll("input[type=range]")].map((i) =>
        [i.name, i.dataset.log ? 10 ** Number(i.defaultValue) : Number(i.defaultValue)]));
      const numbers = inkling.models[live.model](initial, live.data).numbers ?? {};
      for (const [name, value] of Object.entries(numbers)) {
        const engine = Number(inkling.data.numbers[name]);
        const near = Math.abs(value - engine) <= 1e-4 * Math.max(1e-3, Math.abs(engine)) || Object.is(value, engine);
        if (!near && inkling.print(name, value) !== inkling.print(name, engine)) wrong.push(`${name}: page ${value}, engine ${engine}`);
      }
    }
    return wrong;
  };

  // ---- Light and dark ----

  function addColours() {
    const root = document.documentElement, button = document.getElementById("colours");
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (root.dataset.colours ? root.dataset.colours === "dark" : system.matches);
    const label = () => (button.textContent = isDark() ? "Light" : "Dark");
    button.addEventListener("click", () => {
      root.dataset.colours = isDark() ? "light" : "dark";
      label();
    });
    system.addEventListener("change", label);
    button.hidden = false;
    label();
  }

  // ---- A file that is written again and again ----

  function keepFresh() {
    const note = document.getElementById("stale");
    if (!note) return;
    let used = 0;  // when the reader last used the page: then it must not jump
    for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, () => (used = Date.now()));
    const every = 1000 * Number(note.dataset.every);
    const look = () => {
      const age = Date.now() / 1000 - Number(note.dataset.written);
      if (age > Number(note.dataset.stale)) note.hidden = false;
      else setTimeout(() => (Date.now() - used < 3 * every ? look() : location.reload()), every);
    };
    look();
  }

  inkling.start = () => {
    inkling.data = JSON.parse(document.getElementById("page-data").textContent);
    for (const [name, value] of Object.entries(inkling.data.numbers)) inkling.values[name] = Number(value);
    document.documentElement.classList.add("scripted");
    addColours();
    keepFresh();
    addDirections();
    document.querySelectorAll(".steps").forEach(addSteps);
    for (const [id, chart] of Object.entries(inkling.data.charts)) {
      inkling.charts[id] = inkling.charting.make(document.getElementById(id), chart);
    }
    for (const [id, live] of Object.entries(inkling.data.live)) addLive(document.getElementById(id), live);
    roveThroughTables();
    explainNumbers();
  };
})();
