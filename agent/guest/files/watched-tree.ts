// Where the watches of one call lie: directories by their place, which moves with them. Pure.

export interface WatchedDirectory {
  parent: WatchedDirectory | undefined;
  name: string;
  /** -1 until it is watched. */
  watch: number;
  readonly below: Map<string, WatchedDirectory>;
}

export class WatchedTree {
  readonly root: WatchedDirectory = directory(undefined, '');
  readonly #byWatch = new Map<number, WatchedDirectory>();
  #size = 1;

  /** Directories, the root among them. */
  get size(): number {
    return this.#size;
  }

  at(watch: number): WatchedDirectory | undefined {
    return this.#byWatch.get(watch);
  }

  /** Of a name in a directory, below the root; of the directory itself for ''. */
  path(node: WatchedDirectory, name: string): string {
    const names = name === '' ? [] : [name];
    for (let at: WatchedDirectory | undefined = node; at?.parent !== undefined; at = at.parent) names.unshift(at.name);
    return names.join('/');
  }

  /** The one that is there already, where there is one. */
  add(parent: WatchedDirectory, name: string): WatchedDirectory {
    const known = parent.below.get(name);
    if (known !== undefined) return known;
    const made = directory(parent, name);
    parent.below.set(name, made);
    this.#size++;
    return made;
  }

  watch(node: WatchedDirectory, watch: number): void {
    node.watch = watch;
    this.#byWatch.set(watch, node);
  }

  /** Its watch is over. */
  forget(node: WatchedDirectory): void {
    if (this.#byWatch.get(node.watch) === node) this.#byWatch.delete(node.watch);
    node.watch = -1;
  }

  move(from: WatchedDirectory, name: string, to: WatchedDirectory, newName: string): void {
    const node = from.below.get(name);
    if (node === undefined) return;
    from.below.delete(name);
    node.parent = to;
    node.name = newName;
    to.below.set(newName, node);
  }

  /** Takes a directory out with all below it; nothing if there is none. @returns their watches */
  remove(parent: WatchedDirectory, name: string): number[] {
    const gone = parent.below.get(name);
    if (gone === undefined) return [];
    parent.below.delete(name);
    const watches: number[] = [];
    for (const nodes = [gone]; nodes.length > 0; ) {
      const node = nodes.pop()!;
      this.#size--;
      if (node.watch !== -1) watches.push(node.watch);
      this.forget(node);
      nodes.push(...node.below.values());
    }
    return watches;
  }
}

function directory(parent: WatchedDirectory | undefined, name: string): WatchedDirectory {
  return { parent, name, watch: -1, below: new Map() };
}
