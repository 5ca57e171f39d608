/** Points of one length, row by row. */
export interface Points {
  /** [n, dimension]. */
  readonly rows: Float64Array;
  readonly dimension: number;
}

export interface ClusterOptions {
  /** Another cluster is added as long as it brings the mean squared distance below this share of what it was. */
  readonly elbow: number;
  /** Most clusters, from 1. */
  readonly most: number;
}

export interface Clusters {
  /** The cluster of each point. */
  readonly labels: Uint16Array;
  readonly count: number;
}

/** Centres are found on this many points at most, spread evenly; all points are then given to them. */
const SAMPLE = 2048;
/** Of the sample, as many are tried as the first place of a new centre. */
const CANDIDATES = 256;
/** k-means ends after as many rounds, if it does not settle. */
const ROUNDS = 100;

/**
 * k-means with a number of clusters of its own choosing, by the elbow of arXiv:2112.05814, section 4.2, as in the authors'
 * code: the first number that does not bring the mean squared distance below `elbow` times that of one cluster less is taken.
 *
 * Theirs begins anew at random places for each number. Here the centres of one cluster less are kept and one is put where it
 * would lower the sum of distances most (fast global k-means: Likas et al. 2003, doi:10.1016/S0031-3203(02)00060-2), so that the
 * same points always give the same clusters.
 */
export function clusterByElbow(points: Points, { elbow, most }: ClusterOptions): Clusters {
  const { dimension } = points;
  const sample = spread(points, SAMPLE);
  const candidates = spread({ rows: sample, dimension }, CANDIDATES);
  const between = distances(candidates, sample, dimension);
  let centres = meanOf(sample, dimension);
  let nearest = nearestCentres(points.rows, centres, dimension);
  let before = meanDistance(nearest);
  for (let count = 2; count <= most; count++) {
    const place = bestPlace(between, nearestCentres(sample, centres, dimension).squares);
    centres = withRow(centres, candidates.subarray(place * dimension, (place + 1) * dimension));
    settle(sample, centres, dimension);
    nearest = nearestCentres(points.rows, centres, dimension);
    const now = meanDistance(nearest);
    if (now >= elbow * before) break;
    before = now;
  }
  return { labels: nearest.labels, count: centres.length / dimension };
}

/** Rows spread evenly over all: every row where there are no more than `most`. */
function spread({ rows, dimension }: Points, most: number): Float64Array {
  const count = rows.length / dimension;
  if (count <= most) return rows;
  const some = new Float64Array(most * dimension);
  for (let at = 0; at < most; at++) {
    const from = Math.floor((at * count) / most) * dimension;
    some.set(rows.subarray(from, from + dimension), at * dimension);
  }
  return some;
}

function meanOf(rows: Float64Array, dimension: number): Float64Array {
  const mean = new Float64Array(dimension);
  const count = rows.length / dimension;
  for (let at = 0; at < rows.length; at++) mean[at % dimension]! += rows[at]! / count;
  return mean;
}

/** Squared distances of each of `first` to each of `second`, row by row. */
function distances(first: Float64Array, second: Float64Array, dimension: number): Float64Array {
  const [rows, columns] = [first.length / dimension, second.length / dimension];
  const squares = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      squares[row * columns + column] = squaredDistance(
        first,
        row * dimension,
        second,
        column * dimension,
        dimension,
      );
    }
  }
  return squares;
}

/** Of two rows, by where they begin. The innermost loop of all: an object for its arguments would cost more than the sum. */
function squaredDistance(a: Float64Array, from: number, b: Float64Array, start: number, dimension: number) {
  let sum = 0;
  for (let at = 0; at < dimension; at++) {
    const difference = a[from + at]! - b[start + at]!;
    sum += difference * difference;
  }
  return sum;
}

function withRow(rows: Float64Array, row: Float64Array): Float64Array {
  const more = new Float64Array(rows.length + row.length);
  more.set(rows);
  more.set(row, rows.length);
  return more;
}

interface Nearest {
  readonly labels: Uint16Array;
  /** Squared distances to the nearest centre. */
  readonly squares: Float64Array;
}

/** Of centres that are equally near, the first. */
function nearestCentres(rows: Float64Array, centres: Float64Array, dimension: number): Nearest {
  const count = rows.length / dimension;
  const labels = new Uint16Array(count);
  const squares = new Float64Array(count).fill(Infinity);
  for (let row = 0; row < count; row++) {
    for (let centre = 0; centre < centres.length / dimension; centre++) {
      const square = squaredDistance(rows, row * dimension, centres, centre * dimension, dimension);
      if (square < squares[row]!) [labels[row], squares[row]] = [centre, square];
    }
  }
  return { labels, squares };
}

function meanDistance({ squares }: Nearest): number {
  return squares.reduce((sum, square) => sum + square, 0) / squares.length;
}

/** The candidate that lowers the sum of squared distances most if it becomes a centre. */
function bestPlace(between: Float64Array, squares: Float64Array): number {
  let [best, most] = [0, -1];
  for (let candidate = 0; candidate < between.length / squares.length; candidate++) {
    let gain = 0;
    for (let at = 0; at < squares.length; at++) {
      gain += Math.max(0, squares[at]! - between[candidate * squares.length + at]!);
    }
    if (gain > most) [best, most] = [candidate, gain];
  }
  return best;
}

/** Moves centres to the means of their points until no point changes its centre. A centre without points stays. */
function settle(rows: Float64Array, centres: Float64Array, dimension: number): void {
  let before: Uint16Array | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const { labels } = nearestCentres(rows, centres, dimension);
    if (before?.every((label, at) => label === labels[at])) return;
    before = labels;
    const sums = new Float64Array(centres.length);
    const counts = new Uint32Array(centres.length / dimension);
    for (let row = 0; row < labels.length; row++) {
      counts[labels[row]!]! += 1;
      const [from, to] = [row * dimension, labels[row]! * dimension];
      for (let at = 0; at < dimension; at++) sums[to + at]! += rows[from + at]!;
    }
    for (let at = 0; at < centres.length; at++) {
      const count = counts[Math.floor(at / dimension)]!;
      if (count > 0) centres[at] = sums[at]! / count;
    }
  }
}
