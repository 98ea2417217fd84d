/** Tarjan's strongly connected components, of two nodes or more; without recursion, for long histories. */
export function stronglyConnected(
  edges: readonly (readonly { readonly to: number }[])[],
): number[][] {
  const order = new Array<number>(edges.length).fill(-1);
  const low = new Array<number>(edges.length).fill(0);
  const onStack = new Array<boolean>(edges.length).fill(false);
  const stack: number[] = [];
  const components: number[][] = [];
  let counter = 0;
  const open = (node: number): void => {
    order[node] = low[node] = counter;
    counter += 1;
    stack.push(node);
    onStack[node] = true;
  };
  const lower = (node: number, to: number): void => {
    low[node] = Math.min(low[node] ?? 0, to);
  };
  const close = (node: number): void => {
    if (low[node] !== order[node]) return;
    const component = stack.splice(stack.lastIndexOf(node));
    for (const member of component) onStack[member] = false;
    if (component.length > 1) components.push(component.sort((a, b) => a - b));
  };
  for (let root = 0; root < edges.length; root += 1) {
    if (order[root] !== -1) continue;
    open(root);
    const trail = [{ node: root, next: 0 }];
    for (let at = trail.at(-1); at !== undefined; at = trail.at(-1)) {
      const to = edges[at.node]?.[at.next]?.to;
      at.next += 1;
      if (to === undefined) {
        trail.pop();
        close(at.node);
        const above = trail.at(-1);
        if (above !== undefined) lower(above.node, low[at.node] ?? 0);
      } else if (order[to] === -1) {
        open(to);
        trail.push({ node: to, next: 0 });
      } else if (onStack[to] === true) lower(at.node, order[to] ?? 0);
    }
  }
  return components;
}
