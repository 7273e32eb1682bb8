// The sliders of lesson 5.
"use strict";

// One step of gradient descent.
inkling.models.update = ({ lr, gradient }, data) => ({
  numbers: { "update.lr": lr, "update.gradient": gradient, "update.change": -lr * gradient, "update.new": data.parameter - lr * gradient },
});

// The run whose learning rate is nearest to the slider becomes the main line of the chart.
inkling.models.rates = ({ lr }, data) => {
  const distance = (run) => Math.abs(Math.log10(run.lr / lr));
  const chosen = data.runs.reduce((best, run) => (distance(run) < distance(best) ? run : best));
  const faint = data.runs.filter((run) => run !== chosen).map((run) => ({ name: "", look: "faint", x: run.losses.map((_, i) => i), y: run.losses }));
  const main = { name: `rate ${inkling.charting.shortNumber(chosen.lr)}`, look: "main", x: chosen.losses.map((_, i) => i), y: chosen.losses };
  return {
    numbers: { "rates.chosen.lr": chosen.lr, "rates.chosen.loss": Number(chosen.losses[chosen.losses.length - 1]) },
    charts: { "rates.chart": { series: [...faint, main] } },
  };
};
