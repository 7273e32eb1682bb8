// Uses a page as a reader does, and writes what is wrong with it into the DOM of the wrapper page (browser.h):
// {"frames": [{"width", "dark", "numbers", "charts", "sliders", "steps", "toggles", "stale", "problems": [...]}]}
"use strict";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const settled = async () => { for (let i = 0; i < 3; ++i) await pause(20); };

async function use(frame) {
  const view = frame.contentWindow, page = view.document, root = page.documentElement, problems = [];
  const found = { width: view.innerWidth, dark: view.matchMedia("(prefers-color-scheme: dark)").matches, problems };
  const all = (selector) => [...page.querySelectorAll(selector)];
  const visible = (element) => element.getClientRects().length > 0;
  const wrong = (text) => problems.push(text);

  function checkWidth(when) {
    if (root.scrollWidth <= root.clientWidth) return;
    const wide = all("body *").filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest(".scroll, pre, .unseen"));
    wrong(`${when}: the page is ${root.scrollWidth} wide, expected ${root.clientWidth}: ${wide.slice(0, 3).map((e) => e.outerHTML.slice(0, 80)).join(" ")}`);
  }

  // Every number: focus and hover show its formula, and the file and line that computed it.
  function checkNumbers() {
    const tip = page.getElementById("tip");
    found.numbers = all("[data-n]").length;
    for (const number of all("[data-n]").filter(visible)) {
      const name = number.dataset.n;
      number.focus();
      if (page.activeElement !== number) wrong(`number ${name} cannot be focused`);
      number.dispatchEvent(new view.FocusEvent("focusin", { bubbles: true }));  // headless windows may have no focus
      if (tip.hidden || !/\.(cc|h):\d+/.test(tip.textContent)) wrong(`number ${name}: focus shows "${tip.textContent}"`);
      const area = tip.getBoundingClientRect();
      if (area.left < 0 || area.right > root.clientWidth + 1) wrong(`number ${name}: its explanation is at ${area.left} .. ${area.right}`);
      number.blur();
      number.dispatchEvent(new view.FocusEvent("focusout", { bubbles: true }));
      if (!tip.hidden) wrong(`number ${name}: its explanation stays after blur`);
      number.dispatchEvent(new view.PointerEvent("pointerover", { bubbles: true, pointerType: "mouse" }));
      if (tip.hidden) wrong(`number ${name}: hover shows nothing`);
      number.dispatchEvent(new view.PointerEvent("pointerout", { bubbles: true, pointerType: "mouse" }));
    }
    for (const table of all("table.numbers").filter(visible)) {
      const numbers = [...table.querySelectorAll(".n")].filter(visible);
      if (numbers.length < 2) continue;
      numbers[0].focus();
      numbers[0].dispatchEvent(new view.KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true }));
      if (page.activeElement !== numbers[1]) wrong(`the arrow keys do not move in the table with ${numbers[0].dataset.n}`);
    }
  }

  function checkCharts() {
    const charts = all("figure.chart").filter(visible);
    found.charts = all("figure.chart").length;
    for (const chart of charts) {
      const svg = chart.querySelector("svg");
      if (!svg || !svg.querySelector("title") || svg.querySelectorAll("path, rect, circle").length === 0) wrong(`chart ${chart.id} is empty`);
      if (svg && /NaN|Infinity|undefined/.test(svg.outerHTML)) wrong(`chart ${chart.id} has ${svg.outerHTML.match(/.{30}(NaN|Infinity|undefined).{30}/)?.[0]}`);
      const inside = svg?.getBoundingClientRect();
      for (const text of svg?.querySelectorAll("text") ?? []) {
        const area = text.getBoundingClientRect();
        if (area.left < inside.left - 2 || area.right > inside.right + 2) wrong(`chart ${chart.id}: "${text.textContent}" does not fit, it is at ${area.left - inside.left} .. ${area.right - inside.left} of ${inside.width}`);
      }
      if (!chart.querySelector("table tbody tr")) wrong(`chart ${chart.id} has no table for screen readers`);
      if (svg?.getAttribute("tabindex") === "0") {
        page.getElementById("said").textContent = "";
        svg.dispatchEvent(new view.KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true }));
        if (page.getElementById("said").textContent === "") wrong(`chart ${chart.id}: the arrow keys read no value`);
        svg.dispatchEvent(new view.FocusEvent("blur"));
      }
    }
    found.toggles = all(".toggle").length;
    for (const toggle of all(".toggle").filter(visible)) {
      const canvas = toggle.closest("figure").querySelector(".canvas"), before = canvas.innerHTML;
      toggle.click();
      if (canvas.innerHTML === before) wrong(`the button "${toggle.textContent}" changes nothing`);
      toggle.click();
    }
  }

  async function checkSteps() {
    found.steps = 0;
    for (const steps of all(".steps").filter(visible)) {
      const states = [...steps.querySelectorAll(":scope > .step")], sequence = steps.dataset.kind === "sequence";
      const buttons = [...steps.querySelectorAll(":scope > .buttons button")];
      for (let i = 0; i < states.length; ++i) {
        if (!sequence) buttons[i].click();
        await settled();
        if (states.findIndex((s) => !s.hidden) !== i || states.filter((s) => !s.hidden).length !== 1) wrong(`steps ${steps.id}: step ${i + 1} is not shown alone`);
        checkWidth(`step ${i + 1} of ${steps.id}`);
        checkNumbersOf(states[i]);
        if (sequence) buttons[1].click();
        ++found.steps;
      }
      const slider = steps.querySelector(":scope > .buttons input");
      if (!slider) continue;
      if (Number(slider.value) !== states.length - 1) wrong(`steps ${steps.id}: the slider does not follow the buttons`);
      slider.value = 1;
      slider.dispatchEvent(new view.Event("input", { bubbles: true }));
      if (states[1].hidden) wrong(`steps ${steps.id}: the slider does not move`);
    }
  }
  function checkNumbersOf(part) {
    for (const figure of part.querySelectorAll("figure.chart")) {
      if (visible(figure) && !figure.querySelector("svg")) wrong(`chart ${figure.id} is not drawn in its step`);
    }
  }

  async function checkSliders() {
    found.sliders = all("form input[type=range]").length;
    for (const text of view.inkling.wrongModels()) wrong(`slider model: ${text}`);
    for (const slider of all("form input[type=range]").filter(visible)) {
      const before = page.querySelector("main").innerText + all(".canvas").map((c) => c.innerHTML).join();
      slider.value = Number(slider.value) > (Number(slider.min) + Number(slider.max)) / 2 ? slider.min : slider.max;
      slider.dispatchEvent(new view.Event("input", { bubbles: true }));
      await settled();
      const after = page.querySelector("main").innerText + all(".canvas").map((c) => c.innerHTML).join();
      if (after === before) wrong(`slider ${slider.id} changes nothing`);
      for (const canvas of all(".canvas")) if (/NaN|undefined/.test(canvas.innerHTML)) wrong(`slider ${slider.id}: a chart has a number that is not finite`);
      checkWidth(`slider ${slider.id}`);
      if (!slider.form) continue; // it goes through steps
      slider.form.querySelector("button[type=reset]").click();
      await settled();
      if (all(".n.changed").length > 0) wrong(`slider ${slider.id}: after its reset, ${all(".n.changed")[0].dataset.n} is not the engine's number`);
    }
  }

  function checkColours() {
    const colour = () => view.getComputedStyle(page.body).backgroundColor;
    const before = colour(), button = page.getElementById("colours");
    button.click();
    if (colour() === before) wrong("the button of the colours changes nothing");
    button.click();
    if (colour() !== before) wrong("the button of the colours does not change them back");
    for (const button of all(".direction button")) {
      button.click();
      if (button.getAttribute("aria-pressed") !== "true") wrong(`the button "${button.textContent}" is not pressed`);
    }
    all(".direction button")[0]?.click();
  }

  await settled();
  found.stale = page.getElementById("stale")?.hidden === false;
  checkWidth("at the start");
  checkNumbers();
  checkCharts();
  await checkSteps();
  await checkSliders();
  checkColours();
  return found;
}

async function useAll() {
  const frames = [];
  for (const frame of document.querySelectorAll("iframe")) {
    try {
      frames.push(await use(frame));
    } catch (error) {
      frames.push({ problems: [`the driver failed: ${error.stack ?? error}`] });
    }
  }
  const findings = document.createElement("pre");
  findings.id = "findings";
  findings.textContent = JSON.stringify({ frames });
  document.body.append(findings);
}
addEventListener("load", useAll);
