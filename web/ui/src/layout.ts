// Where boxes and lines are: dagre orders each column so that few lines cross. The columns
// stand as far apart as the page is wide, and the boxes of each close together.
import dagre from "@dagrejs/dagre";
import type { Box, Drawing, Kind } from "./group";
import { worstFirst } from "./model";

export interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  at: Map<string, Place>;
  width: number;
  height: number;
  // columns are the left edges.
  columns: Record<Kind, number>;
  box: number;
}

const column: Record<Kind, number> = { router: 0, node: 1, subnet: 2 };
const kinds: Kind[] = ["router", "node", "subnet"];
const margin = 8, head = 26, between = 12, lowest = 200;

export function boxHeight(b: Box): number {
  return 22 + 17 * (b.lines.filter(Boolean).length + (b.marks.length > 0 ? 1 : 0)) + 11;
}

export function place(d: Drawing, width: number): Layout {
  const narrow = width < 560;
  const gap = narrow ? 26 : Math.min(200, width * 0.15);
  const box = Math.min(270, (width - 2 * margin - 2 * gap) / 3);
  const step = (width - 2 * margin - box) / 2;
  const columns = { router: margin, node: margin + step, subnet: margin + 2 * step };
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: "LR", nodesep: between, edgesep: 4, ranksep: gap });
  g.setDefaultEdgeLabel(() => ({}));
  // The root keeps each column in its rank, also what no line leads to.
  g.setNode("root", { width: 1, height: 1 });
  for (const b of d.boxes) {
    g.setNode(b.id, { width: box, height: boxHeight(b) });
    g.setEdge("root", b.id, { minlen: column[b.kind] + 1, weight: 1 });
  }
  for (const l of d.lines) g.setEdge(l.from, l.to, { minlen: 1, weight: l.kind === "session" ? 2 : 1 });
  dagre.layout(g);
  // What is not well stands on top; dagre's order counts among what is equally well.
  const y = (b: Box) => (g.node(b.id) as { y: number }).y;
  const ordered = [...d.boxes].sort((a, b) => worstFirst(a.look, b.look) || y(a) - y(b));
  const at = new Map<string, Place>();
  const heights = kinds.map((k) => ordered.filter((b) => b.kind === k).reduce((h, b) => h + boxHeight(b) + between, -between));
  const tallest = Math.max(0, ...heights);
  kinds.forEach((k, i) => {
    let y = head + margin + (narrow ? 0 : Math.min(lowest, (tallest - heights[i]!) / 2));
    for (const b of ordered) {
      if (b.kind !== k) continue;
      const height = boxHeight(b);
      at.set(b.id, { x: columns[k], y, width: box, height });
      y += height + between;
    }
  });
  return { at, width, height: tallest + head + 2 * margin + between, columns, box };
}
