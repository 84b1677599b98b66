// Where the spots of a slide lie: which is nearest to a point, which lie in a box or a lasso, and which a pixel shows.

const MOST_CELLS = 4e6;
const REACH = 0.75; // spacings from a spot to the farthest pixel that shows it

class Spots {
  constructor(x, y, spacing) {
    this.x = x;
    this.y = y;
    this.spacing = spacing;
    this.length = x.length;
    this.every = Int32Array.from(x.keys());
    this.bounds = this.findBounds();
    const { left, low, right, high } = this.bounds;
    this.cell = Math.max(spacing, Math.sqrt(((right - left) * (high - low)) / MOST_CELLS)) || 1;
    this.columns = Math.floor((right - left) / this.cell) + 1;
    this.rows = Math.floor((high - low) / this.cell) + 1;
    this.sortIntoCells();
  }

  findBounds() {
    let [left, low, right, high] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < this.x.length; i++) {
      if (!this.isPlaced(i)) continue;
      left = Math.min(left, this.x[i]);
      right = Math.max(right, this.x[i]);
      low = Math.min(low, this.y[i]);
      high = Math.max(high, this.y[i]);
    }
    return left <= right ? { left, low, right, high } : { left: 0, low: 0, right: 1, high: 1 };
  }

  isPlaced(i) {
    return this.x[i] === this.x[i] && this.y[i] === this.y[i];
  }

  cellOf(x, y) {
    const column = Math.floor((x - this.bounds.left) / this.cell);
    return [column, Math.floor((y - this.bounds.low) / this.cell)];
  }

  // spots by cell: those of cell c are order[starts[c]] to order[starts[c + 1] - 1]
  sortIntoCells() {
    const cells = new Int32Array(this.x.length).fill(-1);
    this.starts = new Int32Array(this.columns * this.rows + 1);
    for (let i = 0; i < cells.length; i++) {
      if (!this.isPlaced(i)) continue;
      const [column, row] = this.cellOf(this.x[i], this.y[i]);
      cells[i] = row * this.columns + column;
      this.starts[cells[i] + 1]++;
    }
    for (let c = 1; c < this.starts.length; c++) this.starts[c] += this.starts[c - 1];
    const next = this.starts.slice();
    this.order = new Int32Array(this.x.length);
    for (let i = 0; i < cells.length; i++) if (cells[i] >= 0) this.order[next[cells[i]]++] = i;
  }

  // spot that is nearest to a point and not farther than a distance of at most one spacing; -1 where there is none
  nearest(x, y, distance) {
    const [column, row] = this.cellOf(x, y);
    let best = -1;
    let least = distance * distance;
    for (let r = Math.max(0, row - 1); r <= Math.min(this.rows - 1, row + 1); r++) {
      for (let c = Math.max(0, column - 1); c <= Math.min(this.columns - 1, column + 1); c++) {
        const cell = r * this.columns + c;
        for (let k = this.starts[cell]; k < this.starts[cell + 1]; k++) {
          const i = this.order[k];
          const squared = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
          if (squared <= least) [best, least] = [i, squared];
        }
      }
    }
    return best;
  }

  within(geometry) {
    const inside = geometry.type === "rect" ? insideBox(geometry) : insideLasso(geometry);
    const found = [];
    for (let i = 0; i < this.x.length; i++) if (this.isPlaced(i) && inside(this.x[i], this.y[i])) found.push(i);
    return found;
  }

  // an image with about a pixel a spot: which spot each pixel shows, row by row from below, -1 for none
  raster() {
    const { left, low, right, high } = this.bounds;
    const side = Math.max(this.spacing, this.cell);
    const columns = Math.round((right - left) / side) + 1;
    const rows = Math.round((high - low) / side) + 1;
    const [x, y] = [left - side / 2, low - side / 2];
    const shows = new Int32Array(columns * rows);
    for (let row = 0, p = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, p++) {
        shows[p] = this.nearest(left + column * side, low + row * side, REACH * side);
      }
    }
    return { x, y, columns, rows, width: columns * side, height: rows * side, shows };
  }
}

const insideBox = ({ x0, x1, y0, y1 }) => {
  const [left, right, low, high] = [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)];
  return (x, y) => x >= left && x <= right && y >= low && y <= high;
};

// a point is inside where a ray to the left crosses the line an odd number of times
const insideLasso = ({ x: xs, y: ys }) => {
  const [left, right, low, high] = [smallest(xs), -smallest(xs, -1), smallest(ys), -smallest(ys, -1)];
  return (x, y) => {
    if (x < left || x > right || y < low || y > high) return false;
    let odd = false;
    for (let i = 0, j = xs.length - 1; i < xs.length; j = i++) {
      const crosses = ys[i] > y !== ys[j] > y;
      if (crosses && x > xs[i] + ((y - ys[i]) / (ys[j] - ys[i])) * (xs[j] - xs[i])) odd = !odd;
    }
    return odd;
  };
};

const smallest = (values, sign = 1) => values.reduce((least, value) => Math.min(least, sign * value), Infinity);
