// The page: its controls, what is chosen, and what changes with it.

const byId = (id) => document.getElementById(id);
const POINTER_PX = 14; // around the pointer in which a spot is named

const addText = (parent, tag, text, kind = "") => {
  const element = document.createElement(tag);
  // as text: names come from the data
  element.textContent = text;
  if (kind) element.className = kind;
  parent.append(element);
  return element;
};

class Page {
  constructor(facts, panels) {
    this.facts = facts;
    this.panels = panels;
    this.opened = new Map();
    this.chosen = [];
    this.turn = 0;
    const { views } = facts;
    const tissue = views.length - 1;
    const predicted = views.findIndex((view) => view.kind === "predicted");
    const measured = views.findIndex((view) => view.kind === "measured");
    this.sides = predicted < 0 ? [tissue, Math.max(measured, 0)] : [measured < 0 ? tissue : measured, predicted];
    this.fillControls();
    this.connect();
  }

  get gene() {
    return byId("gene").selectedIndex < 0 ? 0 : Number(byId("gene").value);
  }

  viewOf(i) {
    return this.facts.views[this.sides[i]];
  }

  fillControls() {
    this.facts.slides.forEach((name, i) => {
      addText(byId("slide"), "option", name).value = i;
    });
    this.fillGenes();
    SIDES.forEach((side, i) => {
      this.facts.views.forEach((view, k) => {
        addText(byId(`${side}-view`), "option", view.label).value = k;
      });
      byId(`${side}-view`).value = this.sides[i];
    });
  }

  // genes under their verdict, in the order in which they come
  fillGenes() {
    const about = firstPrediction(this.facts);
    const groups = new Map();
    const ratings = this.facts.genes.map((_, gene) => (about ? ratingOf(this.facts, about, gene) : [null, null]));
    const rated = ratings.some(([verdict]) => verdict);
    this.facts.genes.forEach((name, gene) => {
      const [verdict, score] = ratings[gene];
      const parent = rated ? this.groupOf(groups, verdict || "accuracy unknown") : byId("gene");
      addText(parent, "option", score === null ? name : `${name}  ${asScore(score)}`).value = gene;
    });
  }

  groupOf(groups, verdict) {
    if (!groups.has(verdict)) {
      const group = document.createElement("optgroup");
      group.label = verdict;
      byId("gene").append(group);
      groups.set(verdict, group);
    }
    return groups.get(verdict);
  }

  connect() {
    byId("slide").addEventListener("change", () => this.openSlide());
    byId("gene").addEventListener("change", () => this.showGene());
    byId("previous").addEventListener("click", () => this.stepGene(-1));
    byId("next").addEventListener("click", () => this.stepGene(1));
    byId("opacity").addEventListener("input", () => this.panels.setOpacity(byId("opacity").value / 100));
    byId("fit").addEventListener("click", () => this.panels.fit());
    byId("clear").addEventListener("click", () => this.select([]));
    byId("save").addEventListener("click", () => this.saveSelection());
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.setTool(button.dataset.tool));
    }
    SIDES.forEach((side, i) => {
      byId(`${side}-view`).addEventListener("change", (event) => {
        this.sides[i] = Number(event.target.value);
        this.draw();
      });
    });
    for (const figure of this.panels.figures) {
      figure.on_event("selectiongeometry", (event) => event.final && this.select(this.slide.spots.within(event.geometry)));
      figure.on_event("mousemove", (event) => this.point(figure, event));
      figure.on_event("tap", (event) => this.point(figure, event, false));
      // the other panel may have been entered before this one is left, and a finger leaves at once
      figure.on_event("mouseleave", () => this.pointed === figure && this.hideTip());
    }
    for (const event of ["scroll", "resize"]) window.addEventListener(event, () => this.hideTip());
    this.panels.setOpacity(byId("opacity").value / 100);
    this.setTool("pan");
  }

  setTool(name) {
    this.panels.setTool(name);
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", button.dataset.tool === name);
    }
  }

  stepGene(by) {
    const { options, selectedIndex } = byId("gene");
    byId("gene").selectedIndex = (selectedIndex + by + options.length) % options.length;
    this.showGene();
  }

  async openSlide() {
    const turn = ++this.turn;
    document.body.dataset.state = "busy";
    const slide = await this.readSlide(Number(byId("slide").value));
    if (turn !== this.turn) return;
    this.slide = slide;
    this.panels.place(slide, slide.spots, slide.raster);
    this.select([], false);
    await this.showGene();
  }

  async readSlide(i) {
    if (!this.opened.has(i)) {
      const slide = takeJson(`slide-${i}`);
      const [x, y, names] = await Promise.all([
        decodeNumbers(slide.x, 16),
        // upwards, as the axes of the panels go
        decodeNumbers(slide.y, 16, -1),
        decodeNames(slide.ids),
      ]);
      const spots = new Spots(x, y, slide.spacing);
      const far = slide.far && (await decodeNumbers(slide.far, this.facts.bits));
      this.opened.set(i, { ...slide, spots, names, far, farShare: this.shareOfFar(far), raster: slide.raster && spots.raster() });
    }
    return this.opened.get(i);
  }

  shareOfFar(far) {
    const known = far ? far.filter((score) => score === score) : [];
    return known.length ? known.filter((score) => score > this.facts.far).length / known.length : null;
  }

  async showGene() {
    const turn = ++this.turn;
    document.body.dataset.state = "busy";
    const values = await this.readGene(this.gene);
    if (turn !== this.turn) return;
    this.values = values;
    this.draw();
    document.body.dataset.shown = `${byId("slide").value} ${this.gene}`;
    document.body.dataset.state = "ready";
  }

  // values of every view, by its position
  async readGene(gene) {
    const { views, bits } = this.facts;
    const read = (view) => (view.layer ? decodeNumbers(this.slide.values[view.layer][gene], bits) : null);
    const values = await Promise.all(views.map(read));
    views.forEach((view, k) => {
      if (view.kind === "far") values[k] = this.slide.far;
      if (view.kind === "residual") values[k] = this.residual(view, values);
    });
    return values;
  }

  residual(view, values) {
    const { views } = this.facts;
    const predicted = values[views.findIndex((v) => v.kind === "predicted" && v.layer === view.of)];
    const measured = values[views.findIndex((v) => v.kind === "measured" && v.layer === view.target)];
    const difference = new Float32Array(measured.length);
    for (let i = 0; i < difference.length; i++) difference[i] = measured[i] - predicted[i];
    return difference;
  }

  draw() {
    const gene = this.gene;
    this.hideTip();
    SIDES.forEach((side, i) => {
      const view = this.viewOf(i);
      const range = rangeOf(this.facts, view, gene);
      this.panels.color(i, paletteOf(this.facts, view), range);
      this.describe(side, view, gene, range, this.values[this.sides[i]]);
    });
    this.panels.show(this.sides.map((k) => this.values[k]));
    this.summarize();
  }

  describe(side, view, gene, [low, high], values) {
    const title = byId(`${side}-title`);
    title.textContent = titleOf(this.facts, view, gene, values, this.slide.farShare);
    title.dataset.tone = toneOf(this.facts, view, gene, values);
    const legend = legendOf(this.facts, view);
    byId(`${side}-legend`).style.visibility = view.kind === "tissue" ? "hidden" : "visible";
    byId(`${side}-bar`).style.background = gradientOf(paletteOf(this.facts, view));
    byId(`${side}-unit`).textContent = legend.unit;
    byId(`${side}-source`).textContent = legend.source;
    [low, (low + high) / 2, high].forEach((value, i) => {
      byId(`${side}-ticks`).children[i].textContent = asNumber(value);
    });
  }

  select(indices, again = true) {
    this.chosen = indices;
    this.panels.select(indices);
    if (again) this.summarize();
  }

  // what is shown of a spot, or of the mean of several: label, unit and value of every view that has one
  rowsOf(valueOf) {
    return this.facts.views
      .map((view, k) => [view.label, view.unit, this.values[k] && valueOf(this.values[k])])
      .filter(([, , value]) => value !== null);
  }

  summarize() {
    const { chosen } = this;
    const all = this.slide.spots.length.toLocaleString("en");
    byId("chosen").textContent = chosen.length
      ? `${chosen.length.toLocaleString("en")} of ${all} spots selected`
      : `${all} spots. Select some with Box or Lasso.`;
    for (const id of ["clear", "save"]) byId(id).disabled = !chosen.length;
    const table = byId("means");
    table.replaceChildren();
    const head = addText(table, "tr", "");
    for (const text of [this.facts.genes[this.gene], "selection, mean", "slide, mean"]) addText(head, "th", text);
    const slide = this.rowsOf((values) => meanOf(values, this.slide.spots.every));
    const selection = this.rowsOf((values) => meanOf(values, chosen));
    slide.forEach(([label, unit, mean], i) => {
      const row = addText(table, "tr", "");
      addText(row, "th", label).title = unit;
      addText(row, "td", asNumber(selection[i][2]));
      addText(row, "td", asNumber(mean));
    });
  }

  saveSelection() {
    const columns = this.facts.views.map((view, k) => [view.label, this.values[k]]).filter(([, values]) => values);
    const gene = this.facts.genes[this.gene];
    saveText(csvOfSpots(this.slide.name, gene, this.slide.names, this.chosen, columns), "spots.csv");
  }

  point(figure, { x, y, sx, sy }, hovers = true) {
    if (!this.values) return;
    const spot = this.slide.spots.nearest(x, y, Math.max(this.slide.radius, POINTER_PX * this.panels.unitsPerPixel));
    if (spot < 0) {
      this.hideTip();
      return;
    }
    this.pointed = hovers ? figure : null;
    const tip = byId("tip");
    tip.replaceChildren();
    addText(tip, "strong", this.slide.names[spot]);
    const about = firstPrediction(this.facts);
    const gene = this.facts.genes[this.gene];
    addText(tip, "div", about ? `${gene}: ${verdictOf(this.facts, about, this.gene)}` : gene, "verdict");
    const list = addText(tip, "dl", "");
    for (const [label, , value] of this.rowsOf((values) => values[spot])) {
      addText(list, "dt", label);
      addText(list, "dd", asNumber(value));
    }
    this.placeTip(tip, byId(`${figure.name}-panel`).getBoundingClientRect(), sx, sy);
  }

  placeTip(tip, panel, sx, sy) {
    tip.hidden = false;
    const [x, y] = [panel.left + sx, panel.top + sy];
    const { offsetWidth: width, offsetHeight: height } = tip;
    tip.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - 16 - width : x + 16)}px`;
    tip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - height - 4))}px`;
  }

  hideTip() {
    byId("tip").hidden = true;
  }
}

// Bokeh puts the panels into the page a moment after its own script has run
const whenDrawn = () =>
  new Promise((resolve) => {
    const look = () => {
      const bokeh = Bokeh.documents[0];
      const figures = bokeh ? SIDES.map((side) => bokeh.get_model_by_name(side)) : [];
      if (figures.length && figures.every((figure) => figure && figure.inner_width > 0)) resolve(bokeh);
      else setTimeout(look, 20);
    };
    look();
  });

const fail = (error) => {
  byId("chosen").textContent = `This page could not be shown: ${error.message}. Open it in a current version of its browser.`;
  throw error;
};

whenDrawn()
  .then((bokeh) => new Page(takeJson("facts"), new Panels(bokeh)).openSlide())
  .catch(fail);
