// Finds groups of files that import each other in a ring, over value and type imports alike (Tarjan's components).

/** Each ring once, its members sorted. */
export function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const rings: string[][] = [];

  const visit = (node: string): void => {
    const mine = index.size;
    index.set(node, mine);
    low.set(node, mine);
    stack.push(node);
    onStack.add(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) visit(next);
      if (onStack.has(next)) low.set(node, Math.min(low.get(node) ?? mine, low.get(next) ?? mine));
    }
    if (low.get(node) !== mine) return;
    const ring = stack.splice(stack.indexOf(node));
    for (const member of ring) onStack.delete(member);
    if (ring.length > 1) rings.push(ring.sort());
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return rings;
}
