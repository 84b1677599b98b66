// What is said of a view and of a gene, and the colors that it has.

const asScore = (r) => r.toFixed(2).replace("-", "−").replace(/^(−?)0\./, "$1.");
const asPercent = (share) => `${share > 0 && share < 0.005 ? "< 1" : Math.round(100 * share)} %`;

const asNumber = (value) => {
  if (value !== value) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace("-", "−");
};

const ABOUT_PREDICTION = ["predicted", "lower", "upper", "residual"];

const ratingOf = (facts, view, gene) => (facts.ratings[view.of] || [])[gene] || [null, null];

const verdictOf = (facts, view, gene) => {
  const [verdict, score] = ratingOf(facts, view, gene);
  if (!verdict) return "accuracy unknown";
  return score === null ? verdict : `${verdict} (r ${asScore(score)} held out)`;
};

// prediction whose verdict is told of a gene where no view is asked for: the first one
const firstPrediction = (facts) => facts.views.find((view) => view.kind === "predicted");

const titleOf = (facts, view, gene, values, farShare) => {
  const name = facts.genes[gene];
  if (view.kind === "tissue") return "H&E";
  const known = isKnown(values);
  if (view.kind === "far") {
    return known ? `Out of distribution: ${asPercent(farShare)} of spots above ${facts.far}` : "Out of distribution: no score";
  }
  if (view.kind === "measured") return known ? `${name}, measured` : `${name}: not measured on this slide`;
  if (!known) return `${name}: not modeled on this slide`;
  const far = farShare === null ? "" : `, ${asPercent(farShare)} out of distribution`;
  return `${name}: ${verdictOf(facts, view, gene)}${far}`;
};

const isKnown = (values) => Boolean(values) && values.some((value) => value === value);

const toneOf = (facts, view, gene, values) =>
  ABOUT_PREDICTION.includes(view.kind) && isKnown(values) ? ratingOf(facts, view, gene)[0] || "unknown" : "plain";

const paletteOf = (facts, view) => facts.palettes[view.kind] || facts.palettes.measured;

const rangeOf = (facts, view, gene) => {
  if (view.kind === "far") return [0, 1];
  const [low, high] = (facts.ranges[view.unit] || [])[gene] || [0, 1];
  // as wide as the range of the gene, so that a residual is pale where it is small for this gene
  return view.kind === "residual" ? [(low - high) / 2, (high - low) / 2] : [low, high];
};

const legendOf = (facts, view) => {
  // as high as those of other views, so that both panels are of one size
  if (view.kind === "tissue") return { unit: "\u00a0", source: "" };
  if (view.kind === "far") return { unit: view.unit, source: "0: like training, 1: unlike any of it" };
  if (view.kind === "residual") return { unit: view.unit, source: "red: measured above predicted" };
  return { unit: view.unit, source: facts.sources[view.unit] ? `1st to 99th percentile of ${facts.sources[view.unit]}` : "" };
};

const gradientOf = (palette) => {
  const few = Array.from({ length: 17 }, (_, i) => palette[Math.round((i / 16) * (palette.length - 1))]);
  return `linear-gradient(to right, ${few.join(", ")})`;
};
