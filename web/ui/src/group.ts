// What is drawn: boxes in three columns and lines between them. Equal nodes, and equal
// Subnets, are one box where there are many; what is not well is never in one box with
// what is well.
import { byText, count, firstOf, type List, type Look, type Node, type Picture, type Session, worst, worstFirst } from "./model";

export type Kind = "router" | "node" | "subnet";

export interface Box {
  id: string;
  kind: Kind;
  look: Look;
  title: string;
  // lines are what is below the title.
  lines: string[];
  // marks are what has been found on the host.
  marks: { look: Look; text: string }[];
  // names are all that the box stands for.
  names: string[];
  // group names what can be opened or folded; open is true for one that is.
  group?: string;
  open?: boolean;
}

export interface Line {
  id: string;
  from: string;
  to: string;
  kind: "session" | "announced" | "withheld";
  look: Look;
  label: string;
  // hint says it in full.
  hint: string;
  standby: boolean;
}

export interface Drawing {
  boxes: Box[];
  lines: Line[];
}

export interface Filter {
  text: string;
  trouble: boolean;
  // open are the groups that are shown one by one.
  open: ReadonlySet<string>;
}

// Above fewAre boxes in a column, at least alikeFrom equal ones become one; no column
// has more than mostAre.
const fewAre = 8, alikeFrom = 2, mostAre = 32;

export function draw(p: Picture, f: Filter): Drawing {
  const subnets = subnetsOf(p);
  const chosen = choose(p, subnets, f);
  const nodeBoxes = gather("node", chosen.nodes.map(nodeBox), f);
  const subnetBoxes = gather("subnet", chosen.subnets.map((s) => subnetBox(s, p)), f);
  const routerBoxes = gather("router", chosen.routers.map((r) => routerBox(p, r)), f);
  const at = places([...routerBoxes, ...nodeBoxes, ...subnetBoxes]);
  const lines = new Map<string, Line>();
  for (const n of chosen.nodes) {
    for (const s of n.sessions) addSession(lines, at, p, n, s);
    addAnnounced(lines, at, p, n, subnets);
  }
  return { boxes: [...routerBoxes, ...nodeBoxes, ...subnetBoxes], lines: [...lines.values()].sort((a, b) => worstFirst(b.look, a.look)) }; // the worst is drawn last, on top
}

// Subnet is what the lists say of one, by list.
export interface Subnet {
  name: string;
  look: Look;
  prefixes: Set<string>;
  by: Map<number, Fate>;
  alike: string;
}

interface Fate {
  sent: number;
  unsent: number;
  partly: number;
  // notTo are the peers that have not been sent it all.
  notTo: Set<string>;
  to: Set<string>;
  roles: Set<string>;
  hops: Set<string>;
  reasons: Set<string>;
  fault: boolean;
  draining: boolean;
}

// moreName stands for the prefixes that Speakers count and do not name.
export const moreName = "\u0000more";

export function subnetsOf(p: Picture): Map<string, Subnet> {
  const out = new Map<string, Subnet>();
  const fate = (name: string, prefix: string, i: number): Fate => {
    let s = out.get(name);
    if (!s) out.set(name, (s = { name, look: "off", prefixes: new Set(), by: new Map(), alike: "" }));
    if (prefix !== "") s.prefixes.add(prefix);
    let x = s.by.get(i);
    if (!x) {
      x = { sent: 0, unsent: 0, partly: 0, notTo: new Set(), to: new Set(), roles: new Set(), hops: new Set(), reasons: new Set(), fault: false, draining: false };
      s.by.set(i, x);
    }
    return x;
  };
  const spoken = new Set(p.nodes.filter((n) => !n.silent).map((n) => n.list));
  p.lists.forEach((l, i) => {
    if (spoken.has(i)) addList(l, i, fate);
  });
  // Where some are not named, what all that name it withhold may be announced elsewhere.
  const cut = [...spoken].some((i) => p.lists[i]!.planned > p.lists[i]!.announced.length);
  for (const s of out.values()) {
    s.look = subnetLook(s, p.whole, cut);
    s.alike = JSON.stringify([s.look, [...s.by].map(([i, x]) => [i, x.sent > 0, x.unsent > 0, x.partly > 0, [...x.notTo], [...x.to], [...x.roles], [...x.hops], [...x.reasons], x.fault, x.draining])]);
  }
  return out;
}

function addList(l: List, i: number, fate: (name: string, prefix: string, i: number) => Fate): void {
  for (const a of l.announced) {
    const x = fate(a.subnet, a.prefix, i);
    if (a.sent) x.sent++;
    else x.unsent++;
    if (a.sent && a.notSentTo?.length) x.partly++;
    for (const peer of a.notSentTo ?? []) x.notTo.add(peer);
    for (const peer of a.to ?? []) x.to.add(peer);
    x.roles.add(a.role);
    if (a.nextHop) x.hops.add(a.nextHop);
    x.draining ||= a.draining ?? false;
  }
  for (const w of l.withheld) {
    const x = fate(w.subnet, w.prefix, i);
    x.reasons.add(w.reason);
    x.fault ||= w.fault ?? false;
  }
  const named = l.announced.filter((a) => a.sent).length;
  if (l.planned > l.announced.length) {
    const x = fate(moreName, "", i);
    x.sent = l.sent - named;
    x.unsent = l.planned - l.announced.length - x.sent;
  }
}

function subnetLook(s: Subnet, whole: boolean, cut: boolean): Look {
  const fates = [...s.by.values()];
  const sent = fates.some((x) => x.sent > 0);
  if (!sent && fates.some((x) => x.unsent > 0)) return "bad";
  if (fates.some((x) => x.unsent > 0 || x.partly > 0 || x.fault)) return "warn";
  if (sent) return "ok";
  return !whole ? "off" : cut ? "unknown" : "warn";
}

interface Chosen {
  routers: Picture["routers"];
  nodes: Node[];
  subnets: Subnet[];
}

// choose gives what the filter lets through, and what belongs to that.
function choose(p: Picture, subnets: Map<string, Subnet>, f: Filter): Chosen {
  let nodes = p.nodes, list = [...subnets.values()].sort((a, b) => byText(a.name, b.name)), routers = p.routers;
  if (f.trouble) {
    nodes = nodes.filter((n) => n.level !== "ok");
    list = list.filter((s) => s.look === "bad" || s.look === "warn");
    const peers = new Set(nodes.flatMap((n) => n.sessions.filter((s) => s.level !== "ok").map((s) => s.peer)));
    routers = routers.filter((r) => peers.has(r.peer));
  }
  const text = f.text.trim().toLowerCase();
  if (text === "") return { routers, nodes, subnets: list };
  const has = (...of: (string | undefined)[]) => of.some((t) => t?.toLowerCase().includes(text));
  const foundSubnets = new Set(list.filter((s) => s.name !== moreName && (has(s.name, ...s.prefixes) || [...s.by.values()].some((x) => has(...x.reasons)))));
  const foundNodes = new Set(nodes.filter((n) => has(n.name, n.state, n.routerID, ...(n.findings ?? []).map((g) => g.check))));
  const foundRouters = new Set(routers.filter((r) => has(r.peer, r.neighbour, r.asn ? `AS ${r.asn}` : undefined)));
  // What was found, with its neighbours: a router's nodes, a Subnet's announcers.
  const peers = new Set([...foundRouters].map((r) => r.peer));
  const lists = new Set([...foundSubnets].flatMap((s) => [...s.by.keys()]));
  const near = (n: Node) => foundNodes.has(n) || (foundNodes.size === 0 && (lists.has(n.list) || n.sessions.some((s) => peers.has(s.peer))));
  const someNodes = nodes.filter(near);
  const nodeLists = new Set(someNodes.map((n) => n.list)), nodePeers = new Set(someNodes.flatMap((n) => n.sessions.map((s) => s.peer)));
  return {
    nodes: someNodes,
    subnets: list.filter((s) => (foundSubnets.size > 0 ? foundSubnets.has(s) : [...s.by.keys()].some((i) => nodeLists.has(i)))),
    routers: routers.filter((r) => (foundRouters.size > 0 ? foundRouters.has(r) : nodePeers.has(r.peer))),
  };
}

// single is a box before equal ones are put together.
interface Single extends Box {
  alike: string;
  // short is the name in a list of several.
  short: string;
}

// listed gives the list of a key, a new one where there is none.
export function listed<K, V>(of: Map<K, V[]>, key: K): V[] {
  let list = of.get(key);
  if (!list) of.set(key, (list = []));
  return list;
}

function gather(kind: Kind, singles: Single[], f: Filter): Box[] {
  if (singles.length <= fewAre) return singles;
  const groups = new Map<string, Single[]>();
  for (const s of singles) listed(groups, s.alike).push(s);
  const out: Box[] = [];
  for (const [alike, members] of groups) {
    const key = `${kind}:${alike}`;
    if (members.length < alikeFrom) out.push(...members);
    else if (f.open.has(key)) out.push(...members.map((m) => ({ ...m, group: key, open: true })));
    else out.push(together(kind, key, members));
  }
  out.sort((a, b) => worstFirst(a.look, b.look));
  return bounded(kind, out);
}

const plural: Record<Kind, string> = { router: "routers", node: "nodes", subnet: "Subnets" };

function together(kind: Kind, key: string, members: Single[]): Box {
  const first = members[0]!;
  return {
    ...first,
    id: key,
    title: `${members.length.toLocaleString("en")} ${plural[kind]}`,
    lines: [firstOf(members.map((m) => m.short), 2), ...first.lines.slice(1)],
    names: members.flatMap((m) => m.names),
    group: key,
    open: false,
  };
}

// bounded puts what a column has no room for into its last box. The worst come first, and
// so are in it last.
function bounded(kind: Kind, boxes: Box[]): Box[] {
  if (boxes.length <= mostAre) return boxes;
  const rest = boxes.slice(mostAre - 1);
  const look = worst(rest.map((b) => b.look));
  return [
    ...boxes.slice(0, mostAre - 1),
    {
      id: `${kind}:rest`, kind, look, title: `${rest.reduce((n, b) => n + b.names.length, 0).toLocaleString("en")} more ${plural[kind]}`,
      lines: ["search to see them"], marks: [], names: rest.flatMap((b) => b.names),
    },
  ];
}

// places finds the box of a name.
function places(boxes: Box[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const b of boxes) for (const name of b.names) out.set(`${b.kind} ${name}`, b.id);
  return out;
}

function routerBox(p: Picture, r: Picture["routers"][number]): Single {
  let down = 0, limited = 0, silent = 0;
  for (const n of p.nodes) {
    for (const s of n.sessions) {
      if (s.peer !== r.peer) continue;
      if (n.silent) silent++;
      else if (!s.up) down++;
      else if (s.level !== "ok") limited++;
    }
  }
  const look: Look = down > 0 ? "bad" : limited > 0 ? "warn" : silent > 0 ? "unknown" : "ok";
  const many = `${r.up} of ${r.sessions} up${silent > 0 ? `, ${silent} not known` : ""}`;
  const state = p.whole || r.sessions > 1 ? many : r.up ? "session up" : "session down";
  return {
    id: `router ${r.peer}`, kind: "router", look, title: r.peer, short: r.peer, names: [r.peer], marks: [],
    lines: [[r.neighbour, r.asn ? `AS ${r.asn}` : ""].filter(Boolean).join(" · "), state], alike: JSON.stringify([look, r.asn, state]),
  };
}

function nodeBox(n: Node): Single {
  const up = n.sessions.filter((s) => s.up).length;
  const marks = (["bad", "unknown"] as const).flatMap((l) => {
    const k = (n.findings ?? []).filter((g) => g.level === l).length;
    return k > 0 ? [{ look: l as Look, text: `${k} ${l === "bad" ? "wrong" : "unknown"}` }] : [];
  });
  if (n.drain) marks.push({ look: "warn", text: "drains" });
  const sessions = n.sessions.length === 0 ? "no session" : n.silent ? `${n.sessions.length} sessions, not known` : `${up} of ${n.sessions.length} sessions up`;
  return {
    id: `node ${n.name}`, kind: "node", look: n.level, title: n.name, short: n.name, names: [n.name], marks,
    lines: [[n.state, n.asn ? `AS ${n.asn}` : ""].filter(Boolean).join(" · "), sessions],
    alike: JSON.stringify([n.level, n.state, n.silent, Boolean(n.drain), n.list, n.sessions.map((s) => [s.peer, s.state, s.level]), (n.findings ?? []).map((g) => [g.check, g.level])]),
  };
}

function subnetBox(s: Subnet, p: Picture): Single {
  const fates = [...s.by.values()];
  if (s.name === moreName) {
    const n = Math.max(...fates.map((x) => x.sent + x.unsent));
    return {
      id: "subnet more", kind: "subnet", look: s.look, title: `${count(n, "more prefix", "more prefixes")}`, short: "more", names: [moreName], marks: [],
      lines: ["not named by the Speakers"], alike: "more",
    };
  }
  const prefixes = [...s.prefixes].sort(byText);
  return {
    id: `subnet ${s.name}`, kind: "subnet", look: s.look, title: s.name, short: s.name, names: [s.name], marks: [],
    lines: [firstOf(prefixes, prefixes.length > 2 ? 1 : 2), fateText(s, fates, p)], alike: s.alike,
  };
}

// fateText says what becomes of a Subnet, for its box.
function fateText(s: Subnet, fates: Fate[], p: Picture): string {
  const join = (of: (x: Fate) => Set<string>) => [...new Set(fates.flatMap((x) => [...of(x)]))].sort(byText).join(", ");
  if (!fates.some((x) => x.sent + x.unsent > 0)) return s.look === "unknown" ? `${join((x) => x.reasons)} where it is named` : join((x) => x.reasons);
  const announcers = p.whole ? p.nodes.filter((n) => !n.silent && (s.by.get(n.list)?.sent ?? 0) > 0).length : 0;
  const via = join((x) => x.hops);
  return [join((x) => x.roles), via ? `via ${via}` : "", p.whole ? `from ${count(announcers, "node")}` : "", s.look === "bad" ? "not sent" : ""].filter(Boolean).join(" · ");
}

function addSession(lines: Map<string, Line>, at: Map<string, string>, p: Picture, n: Node, s: Session): void {
  const from = at.get(`router ${s.peer}`), to = at.get(`node ${n.name}`);
  if (!from || !to) return;
  const look: Look = n.silent ? "unknown" : s.level;
  const label = n.silent ? "" : s.up ? (p.whole ? "" : `${count(s.sent, "prefix", "prefixes")} sent`) : s.state;
  const hint = `Session ${s.peer} – ${n.name}: ${n.silent ? "not known" : s.state}${s.trouble && !n.silent ? `: ${s.trouble}` : ""}`;
  merge(lines, { id: `${from} ${to} s`, from, to, kind: "session", look, label, hint, standby: false });
}

function addAnnounced(lines: Map<string, Line>, at: Map<string, string>, p: Picture, n: Node, subnets: Map<string, Subnet>): void {
  const from = at.get(`node ${n.name}`);
  if (!from || n.silent) return;
  for (const s of subnets.values()) {
    const x = s.by.get(n.list), to = at.get(`subnet ${s.name}`);
    if (!x || !to) continue;
    const planned = x.sent + x.unsent > 0;
    if (!planned && p.whole) continue; // other nodes announce it, or its box says why none does
    const look: Look = !planned ? (x.fault ? "warn" : "off") : x.sent === 0 ? "bad" : x.unsent + x.partly > 0 ? "warn" : "ok";
    const standby = planned && x.roles.size > 0 && [...x.roles].every((r) => r === "standby");
    const label = !planned ? (x.fault ? [...x.reasons].join(", ") : "withheld") : look === "bad" ? "not sent" : look === "warn" ? `not to ${firstOf([...x.notTo], 1)}` : standby ? "standby" : "";
    const hint = `${n.name} – ${s.name}: ${planned ? (x.sent ? "announced" : "planned and not sent") : `withheld, ${[...x.reasons].join(", ")}`}`;
    merge(lines, { id: `${from} ${to} a`, from, to, kind: planned ? "announced" : "withheld", look, label, hint, standby });
  }
}

// merge makes one line of several between the same boxes, as bad as the worst.
function merge(lines: Map<string, Line>, l: Line): void {
  const known = lines.get(l.id);
  if (!known || worstFirst(l.look, known.look) < 0) lines.set(l.id, l);
}

// related gives what belongs to a box: with what it is joined, and what is behind that.
export function related(d: Drawing, id: string): Set<string> {
  const kind = new Map(d.boxes.map((b) => [b.id, b.kind]));
  const out = new Set([id]);
  const near = new Set<string>();
  for (const l of d.lines) {
    if (l.from !== id && l.to !== id) continue;
    out.add(l.id);
    near.add(l.from === id ? l.to : l.from);
  }
  for (const n of near) out.add(n);
  if (kind.get(id) === "node") return out;
  for (const l of d.lines) {
    const beyond = near.has(l.from) ? l.to : near.has(l.to) ? l.from : "";
    if (beyond === "" || kind.get(beyond) === kind.get(id)) continue;
    out.add(l.id);
    out.add(beyond);
  }
  return out;
}
