// The sliders of an explain page. The numbers come from the engine; the sliders choose which of them are shown.
"use strict";

(() => {
  // Shares in thousandths, two characters each, of 64 digits: the first is worth 64.
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const share = (text, i) => (64 * digits.indexOf(text[2 * i]) + digits.indexOf(text[2 * i + 1])) / 1000;
  const headAt = ({ layer, head }, data) => ((layer ?? 1) - 1) * data.heads + (head ?? 1) - 1;

  inkling.models.predictions = ({ position }, data) => {
    const at = data.positions[position], numbers = { "now.position": position, "now.loss": at.loss, "now.target": at.p };
    at.top.forEach(([, p], rank) => (numbers[`now.top.${rank}`] = p));
    const bars = at.top.map(([label], rank) => ({ label, number: `now.top.${rank}`, look: label === at.target ? "second" : "main" }));
    bars.push({ label: `in the text: ${at.target}`, number: "now.target", look: "second" });
    return { numbers, charts: { "now.top": { bars } }, tokens: { "now.text": data.positions.map((_, t) => ({ value: t === position ? 1 : t < position ? 0.2 : 0 })) } };
  };

  inkling.models.attention = (sliders, data) => {
    const at = headAt(sliders, data), text = data.shares[at], T = data.T, from = sliders.position ?? T - 1;
    const values = [];
    for (let t = 0; t < T; ++t) for (let k = 0; k < T; ++k) values.push(k <= t ? share(text, (t * (t + 1)) / 2 + k) : NaN);
    const row = values.slice(from * T, from * T + from + 1), most = Math.max(...row, 1e-3);
    const tokens = Array.from({ length: T }, (_, k) => (k <= from ? { value: row[k] / most, note: row[k].toFixed(3) } : { value: 0, note: "·" }));
    const [self, previous, first] = data.habits[at];
    return { numbers: { "head.self": self, "head.previous": previous, "head.first": first }, charts: { attention: { values } }, tokens: { "attention.from": tokens } };
  };

  inkling.models.ablation = (sliders, data) => {
    const at = headAt(sliders, data), changes = data.changes[at];
    const tokens = changes.map((change, t) => ({ value: (data.losses[t] + change / 100) / data.most, note: `${change < 0 ? "−" : "+"}${(Math.abs(change) / 100).toFixed(2)}` }));
    return { numbers: { "without.loss": data.means[at], "without.change": data.means[at] - data.mean }, tokens: { "without.text": tokens } };
  };
})();
