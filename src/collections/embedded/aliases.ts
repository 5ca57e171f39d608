import { DinoError } from '../../errors.js';
import type { Alias } from '../collection-store.js';
import type { AliasTable } from './alias-table.js';
import type { CollectionRow } from './sqlite-catalog.js';

/** Second names of collections, in memory for every call and on disk. */
export class Aliases {
  private readonly targets: Map<string, string>;

  constructor(private readonly table: AliasTable) {
    this.targets = new Map(table.list().map(({ name, collection }) => [name, collection]));
  }

  /** The collection's own name; any other name as it is. */
  resolve(name: string): string {
    return this.targets.get(name) ?? name;
  }

  has(name: string): boolean {
    return this.targets.has(name);
  }

  /** @throws not-found */
  get(name: string): Alias {
    const collection = this.targets.get(name);
    if (collection === undefined) throw new DinoError('not-found', `There is no alias "${name}".`);
    return { name, collection };
  }

  list(): Alias[] {
    // Names are ASCII, where JavaScript's order is the order of code points.
    return [...this.targets.keys()].sort().map((name) => this.get(name));
  }

  /** @throws conflict when `collection` is given by an alias */
  put(name: string, given: string, row: CollectionRow): { alias: Alias; created: boolean } {
    if (this.has(given)) {
      throw new DinoError(
        'conflict',
        `"${given}" is an alias itself. An alias stands for a collection: name "${row.name}".`,
      );
    }
    const created = !this.has(name);
    this.table.put(name, row.row);
    this.targets.set(name, row.name);
    return { alias: this.get(name), created };
  }

  /** @throws not-found */
  delete(name: string): void {
    this.get(name);
    this.table.delete(name);
    this.targets.delete(name);
  }

  /** @throws conflict when the name is an alias, or a collection that has aliases */
  requireNone(name: string): void {
    const target = this.targets.get(name);
    if (target !== undefined) {
      throw new DinoError(
        'conflict',
        `"${name}" is an alias of collection "${target}". Delete the alias, or name the collection itself.`,
      );
    }
    const names = this.list().flatMap((alias) => (alias.collection === name ? [alias.name] : []));
    if (names.length > 0) {
      throw new DinoError(
        'conflict',
        `Collection "${name}" has aliases: ${names.join(', ')}. Delete them or point them elsewhere first.`,
      );
    }
  }
}
