// The picture as the daemon tells it (package picture), and what is read off it.

export type Level = "ok" | "unknown" | "warn" | "bad";

export interface Picture {
  whole: boolean;
  name: string;
  version: string;
  started: string;
  verdict: { level: Level; text: string };
  routers: Router[];
  nodes: Node[];
  lists: List[];
  remedies: Record<string, string>;
  warnings: { subnet: string; reason: string; detail: string }[];
  source: { text: string; explain: string; staleSince?: string; problems: string[] };
}

export interface Router {
  peer: string;
  neighbour?: string;
  asn?: number;
  up: number;
  sessions: number;
}

export interface Node {
  name: string;
  level: Level;
  state: string;
  silent?: boolean;
  problems?: string[];
  drain?: string;
  asn?: number;
  routerID?: string;
  sessions: Session[];
  list: number;
  findings?: Finding[];
  passed?: Record<string, number>;
  unchecked?: boolean;
}

export interface Session {
  peer: string;
  neighbour: string;
  asn?: number;
  state: string;
  up: boolean;
  level: Level;
  since?: string;
  trouble?: string;
  troubleAt?: string;
  from?: string;
  sent: number;
  planned: number;
  flaps?: number;
  resetAt?: string;
  reset?: string;
  bfd?: string;
  note?: string;
}

export interface List {
  announced: Announced[];
  withheld: Withheld[];
  planned: number;
  sent: number;
  withhold: number;
  reasons?: Record<string, number>;
}

export interface Announced {
  prefix: string;
  subnet: string;
  role: string;
  nextHop?: string;
  to?: string[];
  notSentTo?: string[];
  sent: boolean;
  draining?: boolean;
}

export interface Withheld {
  prefix: string;
  subnet: string;
  reason: string;
  detail?: string;
  // fault is whether only the node knows why.
  fault?: boolean;
}

export interface Finding {
  check: string;
  subject: string;
  subjects?: string[];
  level: Level;
  got?: string;
  want?: string;
  why?: string;
  fixes?: string[];
}

export interface Event {
  at: string;
  level: Level;
  node?: string;
  kind: string;
  text: string;
}

export interface Shown {
  picture: Picture;
  timeline: Event[];
}

// Look is a level as it is drawn; "off" is what is withheld, which may be as it should be.
export type Look = Level | "off";

// glyph tells a look apart without its colour.
export const glyph: Record<Look, string> = { ok: "✓", unknown: "?", warn: "!", bad: "✕", off: "⊘" };

export const lookWord: Record<Look, string> = { ok: "well", unknown: "not known", warn: "limited", bad: "not well", off: "withheld" };

const order: Look[] = ["bad", "warn", "unknown", "off", "ok"];

export function worstFirst(a: Look, b: Look): number {
  return order.indexOf(a) - order.indexOf(b);
}

// worst gives the worst of looks, and "ok" for none.
export function worst(looks: Iterable<Look>): Look {
  let out: Look = "ok";
  for (const l of looks) if (worstFirst(l, out) < 0) out = l;
  return out;
}

export function count(n: number, one: string, many = one + "s"): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

// firstOf lists the first few of many names.
export function firstOf(names: string[], most: number): string {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${(names.length - most).toLocaleString("en")} more`;
}

// age is the time from then to now, as `fairway status` writes it.
export function age(then: string, now: number): string {
  const s = Math.max(0, Math.floor((now - Date.parse(then)) / 1000));
  const m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (m < 2) return `${s}s`;
  if (h < 2) return `${m}m`;
  if (h < 48) return `${h}h${m % 60}m`;
  return `${d}d${h % 24}h`;
}

// byText sorts names with numbers in them as people do.
export const byText = new Intl.Collator("en", { numeric: true }).compare;
