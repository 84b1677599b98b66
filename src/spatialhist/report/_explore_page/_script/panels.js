// The two panels: what Bokeh draws, by the names that its models have.

const SIDES = ["left", "right"];
const DIMMED = 0.35; // of the opacity of spots that are not selected
const MARGIN = 2; // spacings around the spots

class Panels {
  constructor(bokeh) {
    this.model = (name) => bokeh.get_model_by_name(name);
    this.figures = SIDES.map(this.model);
    for (const figure of this.figures) {
      for (const size of ["inner_width", "inner_height"]) {
        figure.properties[size].change.connect(() => this.keepAspect());
      }
    }
  }

  place(slide, spots, raster) {
    this.spots = spots;
    this.raster = raster;
    const picture = slide.picture;
    this.model("picture").data = picture
      ? { url: [picture.source], width: [picture.width], height: [picture.height] }
      : { url: [], width: [], height: [] };
    for (const side of SIDES) {
      for (const glyph of this.glyphs(side)) glyph.radius = { value: slide.radius };
      this.model(`${side}_bar`).visible = slide.physical;
    }
    this.fit();
  }

  // circles of spots that are not selected, of all where none is, and of those that are
  glyphs(side) {
    const { nonselection_glyph, glyph, selection_glyph } = this.model(`${side}_spots`);
    return [nonselection_glyph, glyph, selection_glyph];
  }

  // values of both sides in their colors, null for a side that shows the tissue alone
  show(values) {
    if (this.raster) this.showRasters(values);
    else this.showSpots(values);
    SIDES.forEach((side, i) => {
      this.model(`${side}_spots`).visible = !this.raster && values[i] !== null;
      this.model(`${side}_raster`).visible = Boolean(this.raster) && values[i] !== null;
    });
  }

  showSpots([left, right]) {
    const { x, y } = this.spots;
    const none = () => new Float32Array(x.length);
    this.model("spots").data = { x, y, left: left || none(), right: right || none() };
  }

  showRasters(values) {
    SIDES.forEach((side, i) => {
      if (values[i] === null) return;
      this.model(`${side}_raster_data`).data = this.imageOf((spot) => (spot < 0 ? NaN : values[i][spot]), Float32Array);
    });
  }

  imageOf(valueOf, Kind) {
    const { x, y, width, height, columns, rows, shows } = this.raster;
    const pixels = new Kind(shows.length);
    for (let p = 0; p < pixels.length; p++) pixels[p] = valueOf(shows[p]);
    const image = Bokeh.require("core/util/ndarray").ndarray(pixels, { shape: [rows, columns] });
    return { image: [image], x: [x], y: [y], width: [width], height: [height] };
  }

  // takes effect with the values that are shown next: announced by itself it would draw the old ones once more
  color(i, palette, [low, high]) {
    const colors = this.model(`${SIDES[i]}_colors`);
    colors.setv({ palette, low, high }, { silent: true });
    colors.update_data();
  }

  setOpacity(opacity) {
    for (const side of SIDES) {
      const [others, ...glyphs] = this.glyphs(side);
      others.fill_alpha = { value: DIMMED * opacity };
      for (const glyph of glyphs) glyph.fill_alpha = { value: opacity };
      this.model(`${side}_raster`).glyph.global_alpha = { value: opacity };
    }
  }

  select(indices) {
    this.model("spots").selected.indices = this.raster ? [] : indices;
    const veil = this.model("veil");
    if (!this.raster || !indices.length) {
      veil.data = { image: [], x: [], y: [], width: [], height: [] };
      return;
    }
    const chosen = new Uint8Array(this.spots.x.length);
    for (const i of indices) chosen[i] = 1;
    veil.data = this.imageOf((spot) => (spot >= 0 && !chosen[spot] ? 1 : 0), Uint8Array);
  }

  setTool(name) {
    for (const side of SIDES) {
      for (const tool of ["pan", "box", "lasso"]) this.model(`${side}_${tool}`).active = tool === name;
    }
  }

  // the spots with a margin, in the middle of the panels
  fit() {
    const { left, low, right, high } = this.spots.bounds;
    const margin = MARGIN * this.spots.spacing;
    this.whole = { left: left - margin, right: right + margin, low: low - margin, high: high + margin };
    this.setWindow(this.whole);
  }

  // one unit of length is as long across as down
  setWindow({ left, low, right, high }) {
    const { inner_width: width, inner_height: height } = this.figures[0];
    if (!(width > 0 && height > 0)) return;
    this.scale = Math.max((right - left) / width, (high - low) / height);
    const [x, y] = [(left + right) / 2, (low + high) / 2];
    const [half, tall] = [(this.scale * width) / 2, (this.scale * height) / 2];
    this.model("x").setv({ start: x - half, end: x + half });
    this.model("y").setv({ start: y - tall, end: y + tall });
    this.shown = [x, y, half];
  }

  // panels of another size show the same place at the same scale, or all spots if they did before
  keepAspect() {
    if (!this.whole) return;
    const [x, y] = ["x", "y"].map((name) => (this.model(name).start + this.model(name).end) / 2);
    const half = (this.model("x").end - this.model("x").start) / 2;
    if ([x, y, half].every((value, i) => Math.abs(value - this.shown[i]) < this.scale)) {
      this.setWindow(this.whole);
      return;
    }
    const tall = (half * this.figures[0].inner_height) / this.figures[0].inner_width;
    this.setWindow({ left: x - half, right: x + half, low: y - tall, high: y + tall });
  }

  get unitsPerPixel() {
    return (this.model("x").end - this.model("x").start) / this.figures[0].inner_width;
  }
}
