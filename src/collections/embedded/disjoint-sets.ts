/** Sets of the numbers 0..size-1 that only ever grow together (union-find: path halving, union by size). */
export class DisjointSets {
  private readonly parents: Uint32Array;
  private readonly sizes: Uint32Array;

  constructor(size: number) {
    this.parents = Uint32Array.from({ length: size }, (_, i) => i);
    this.sizes = new Uint32Array(size).fill(1);
  }

  /** The number that stands for the set of `member`. */
  find(member: number): number {
    const { parents } = this;
    let at = member;
    while (parents[at] !== at) at = parents[at] = parents[parents[at]!]!;
    return at;
  }

  join(a: number, b: number): void {
    let [big, small] = [this.find(a), this.find(b)];
    if (big === small) return;
    if (this.sizes[big]! < this.sizes[small]!) [big, small] = [small, big];
    this.parents[small] = big;
    this.sizes[big]! += this.sizes[small]!;
  }

  /** Members of each set of two or more, ascending. */
  groups(): number[][] {
    const groups = new Map<number, number[]>();
    for (let member = 0; member < this.parents.length; member++) {
      const root = this.find(member);
      if (this.sizes[root]! < 2) continue;
      const group = groups.get(root);
      if (group === undefined) groups.set(root, [member]);
      else group.push(member);
    }
    return [...groups.values()];
  }
}
