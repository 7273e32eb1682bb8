// The sliders of lesson 2, in double precision. The engine computes in f32; the printed digits are the same.
"use strict";

// Softmax of named logits, and the loss of the target.
inkling.models.softmax = (sliders, data) => {
  const logits = { ...data.logits, ...sliders };
  const numbers = {};
  const words = Object.keys(logits);
  const sum = words.reduce((total, word) => total + Math.exp(logits[word]), 0);
  for (const word of words) {
    numbers[`softmax.logit.${word}`] = logits[word];
    numbers[`softmax.exp.${word}`] = Math.exp(logits[word]);
    numbers[`softmax.p.${word}`] = Math.exp(logits[word]) / sum;
  }
  numbers["softmax.sum"] = sum;
  numbers["softmax.p.sum"] = words.reduce((total, word) => total + Math.exp(logits[word]) / sum, 0);
  numbers["softmax.loss"] = -Math.log(numbers["softmax.p.we"]);
  return { numbers };
};

// What one probability costs.
inkling.models.surprise = ({ p }) => ({
  numbers: { "surprise.p": p, "surprise.nats": -Math.log(p), "surprise.bits": -Math.log2(p), "surprise.choices": 1 / p },
});

// The same softmax with a constant added to every logit. Math.fround rounds to f32, as the naive engine would.
inkling.models.shifted = ({ shift }, data) => {
  const logits = data.logits.map((z) => Math.fround(z + shift));
  const naive = logits.map((z) => Math.fround(Math.exp(z)));
  const naiveSum = naive.reduce((a, b) => Math.fround(a + b), 0);
  const most = Math.max(...logits), safe = logits.map((z) => Math.exp(z - most));
  const safeSum = safe.reduce((a, b) => a + b, 0);
  const numbers = {};
  logits.forEach((z, i) => {
    numbers[`safe.logit.${i}`] = z;
    numbers[`safe.naive_exp.${i}`] = naive[i];
    numbers[`safe.naive_p.${i}`] = Math.fround(naive[i] / naiveSum);
    numbers[`safe.difference.${i}`] = z - most;
    numbers[`safe.exp.${i}`] = safe[i];
    numbers[`safe.p.${i}`] = safe[i] / safeSum;
  });
  return { numbers };
};
