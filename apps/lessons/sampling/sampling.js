// The sliders of lesson 7, in double precision: nn/sampler.cc in JavaScript. The logits come sorted, the largest first.
"use strict";

(() => {
  // The probabilities of the sorted tokens: 0 where a token is cut off.
  function shares(logits, { temperature, top_k, top_p, min_p }) {
    const p = logits.map((z, rank) => {
      if (temperature === 0) return rank === 0 ? 1 : 0;
      return top_k > 0 && rank >= top_k ? 0 : Math.exp((z - logits[0]) / temperature);
    });
    const sum = (values) => values.reduce((a, b) => a + b, 0);
    const wanted = top_p * sum(p), least = min_p * p[0];
    let reached = 0;
    const kept = p.map((share) => {
      const keep = (reached < wanted || top_p === 1) && share >= least;
      reached += share;
      return keep ? share : 0;
    });
    const total = sum(kept);
    return kept.map((share) => share / total);
  }

  function describe(numbers, name, p, data, ranks) {
    for (let rank = 0; rank < ranks; ++rank) numbers[`${name}.p.${rank}`] = p[rank];
    numbers[`${name}.kept`] = p.filter((share) => share > 0).length;
    numbers[`${name}.choices`] = Math.exp(p.reduce((nats, share) => nats - (share > 0 ? share * Math.log(share) : 0), 0));
    numbers[`${name}.impossible`] = p.reduce((sum, share, i) => sum + (data.possible[i] ? 0 : share), 0);
  }

  inkling.models.sampler = (sliders, data) => {
    const numbers = {};
    for (const [name, value] of Object.entries(sliders)) numbers[`now.${name}`] = value;
    const p = shares(data.logits, sliders);
    describe(numbers, "now", p, data, data.bars);
    numbers["now.rest"] = p.slice(data.bars).reduce((a, b) => a + b, 0);
    for (const [name, settings] of Object.entries(data.settings)) describe(numbers, `set.${name}`, shares(data.logits, settings), data, 2);
    return { numbers };
  };
})();
