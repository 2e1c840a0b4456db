// What is below the picture: sessions, prefixes, what is withheld, the hosts, and what
// happened.
import { useMemo } from "preact/hooks";
import { listed } from "./group";
import { Age, Copy, Fix, Sign, Table } from "./parts";
import { byText, count, type Event, type Finding, firstOf, type List, type Look, type Node, type Picture, type Session, worstFirst } from "./model";

// Scope is what is looked at: the search's text, and what is selected in the picture.
export interface Scope {
  text: string;
  trouble: boolean;
  nodes?: ReadonlySet<string>;
  peers?: ReadonlySet<string>;
  subnets?: ReadonlySet<string>;
}

interface Props {
  picture: Picture;
  scope: Scope;
}

function has(text: string, ...of: (string | undefined)[]): boolean {
  const t = text.trim().toLowerCase();
  return t === "" || of.some((o) => o?.toLowerCase().includes(t));
}

interface SessionRow {
  node: Node;
  session: Session;
  look: Look;
}

export function Sessions({ picture, scope }: Props) {
  const rows = useMemo(() => {
    const out: SessionRow[] = [];
    for (const node of picture.nodes) {
      if (scope.nodes && !scope.nodes.has(node.name)) continue;
      for (const session of node.sessions) {
        const look: Look = node.silent ? "unknown" : session.level;
        if (scope.peers && !scope.peers.has(session.peer)) continue;
        if (scope.trouble && look === "ok") continue;
        if (has(scope.text, node.name, session.peer, session.neighbour, session.state, session.trouble)) out.push({ node, session, look });
      }
    }
    return out.sort((a, b) => worstFirst(a.look, b.look) || byText(a.node.name, b.node.name) || byText(a.session.peer, b.session.peer));
  }, [picture, scope]);
  const none = picture.whole ? "No node has a session." : "No session: no BGPPeer selects this node, or none is known yet.";
  return (
    <section aria-labelledby="sessions">
      <h2 id="sessions">Sessions ({rows.length.toLocaleString("en")})</h2>
      {rows.length === 0 ? (
        <p>{scope.text || scope.trouble || scope.nodes ? "None of what is looked at." : none}</p>
      ) : (
        <Table
          label="Sessions"
          rows={rows}
          id={(r) => `${r.node.name} ${r.session.peer}`}
          columns={[
            { head: "State", cell: (r) => <><Sign look={r.look} /> {r.node.silent ? "not known" : r.session.state}{r.session.bfd && <div class="soft">{r.session.bfd}</div>}</> },
            ...(picture.whole ? [{ head: "Node", cell: (r: SessionRow) => r.node.name }] : []),
            { head: "Router", cell: (r) => <>{r.session.peer}<div class="mono soft">{r.session.neighbour}{r.session.asn ? ` · AS ${r.session.asn}` : ""}</div></> },
            { head: "For", cell: (r) => (r.session.since ? <Age of={r.session.since} /> : "never up") },
            { head: "Next hop", class: "mono", cell: (r) => r.session.from ?? "–" },
            { head: "Sent", class: "number", cell: (r) => <>{r.session.sent.toLocaleString("en")}{r.session.sent < r.session.planned && ` of ${r.session.planned.toLocaleString("en")}`}</> },
            { head: "What is wrong", class: "wide", cell: (r) => <Trouble of={r.session} /> },
          ]}
        />
      )}
    </section>
  );
}

function Trouble({ of }: { of: Session }) {
  return (
    <>
      {of.trouble}
      {of.troubleAt && <span class="soft"> (<Age of={of.troubleAt} /> ago)</span>}
      {of.note && <div>{of.note}</div>}
      {(of.flaps ?? 0) > 0 && <div class="soft">went down {count(of.flaps!, "time")}{of.resetAt && <>, last <Age of={of.resetAt} /> ago: {of.reset}</>}</div>}
    </>
  );
}

// Row is one prefix of a Subnet with one fate, on one node or on many.
interface Row {
  prefix: string;
  subnet: string;
  nodes: string[];
  look: Look;
  role: string;
  hop: string;
  to: string[];
  notTo: string[];
  draining: boolean;
  reason: string;
  detail: string;
}

// fates gives a row for each prefix and what becomes of it; nodes for which that is the
// same share it.
function fates(picture: Picture, scope: Scope, of: (l: List) => Omit<Row, "nodes">[]): Row[] {
  const holders = new Map<number, string[]>();
  for (const n of picture.nodes) {
    if (n.silent || (scope.nodes && !scope.nodes.has(n.name))) continue;
    listed(holders, n.list).push(n.name);
  }
  const out = new Map<string, Row>();
  for (const [i, names] of holders) {
    for (const r of of(picture.lists[i]!)) {
      if (scope.subnets && !scope.subnets.has(r.subnet)) continue;
      if (scope.trouble && r.look === "ok") continue;
      if (!has(scope.text, r.prefix, r.subnet, r.role, r.reason, r.detail, r.hop, ...r.to, ...(picture.whole && names.length < 200 ? names : []))) continue;
      const key = [r.prefix, r.subnet, r.look, r.role, r.hop, r.to, r.notTo, r.reason, r.detail].join("|");
      const known = out.get(key);
      if (known) known.nodes.push(...names);
      else out.set(key, { ...r, nodes: [...names] });
    }
  }
  return [...out.values()].sort((a, b) => worstFirst(a.look, b.look) || byText(a.subnet, b.subnet) || byText(a.prefix, b.prefix));
}

const nothing = { role: "", hop: "", to: [], notTo: [], draining: false, reason: "", detail: "" };

function announcedOf(l: List): Omit<Row, "nodes">[] {
  return l.announced.map((a) => ({
    ...nothing, prefix: a.prefix, subnet: a.subnet, role: a.role, hop: a.nextHop ?? "", to: a.to ?? [], notTo: a.notSentTo ?? [], draining: a.draining ?? false,
    look: !a.sent ? "bad" : a.notSentTo?.length ? "warn" : "ok",
  }));
}

function withheldOf(l: List): Omit<Row, "nodes">[] {
  return l.withheld.map((w) => ({ ...nothing, prefix: w.prefix, subnet: w.subnet, reason: w.reason, detail: w.detail ?? "", look: w.fault ? "warn" : "off" }));
}

function Names({ of, all }: { of: string[]; all: number }) {
  if (of.length === all && all > 1) return <>all {all.toLocaleString("en")}</>;
  return <span title={firstOf(of, 60)}>{firstOf(of, 3)}</span>;
}

export function Announcements({ picture, scope }: Props) {
  const rows = useMemo(() => fates(picture, scope, announcedOf), [picture, scope]);
  const spoken = picture.nodes.filter((n) => !n.silent);
  const lists = spoken.map((n) => picture.lists[n.list]!);
  const planned = lists.reduce((n, l) => n + l.planned, 0), sent = lists.reduce((n, l) => n + l.sent, 0);
  const unnamed = lists.some((l) => l.planned > l.announced.length);
  const withheld = lists.some((l) => l.withhold > 0);
  return (
    <section aria-labelledby="announced">
      <h2 id="announced">
        Announced ({sent < planned ? `${sent.toLocaleString("en")} of ${planned.toLocaleString("en")} planned` : sent.toLocaleString("en")}{picture.whole ? ", over all nodes" : ""})
      </h2>
      {rows.length === 0 ? (
        <p>{planned > 0 ? "None of what is looked at." : withheld ? "Nothing: all that is selected is withheld, see below." : <>Nothing. Annotate a Subnet: <Copy text={'kubectl annotate subnet SUBNET fairway.dev/advertise=true'} /></>}</p>
      ) : (
        <Table
          label="Announced"
          rows={rows}
          id={(r) => [r.prefix, r.subnet, r.role, r.hop, r.to, r.notTo].join("|")}
          columns={[
            { head: "Prefix", class: "mono", cell: (r) => <><Sign look={r.look} /> {r.prefix}</> },
            { head: "Subnet", cell: (r) => r.subnet },
            { head: "Role", cell: (r) => <>{r.role}{r.draining && <div class="soft">leaving (GRACEFUL_SHUTDOWN)</div>}</> },
            ...(picture.whole ? [{ head: "Nodes", cell: (r: Row) => <Names of={r.nodes} all={picture.nodes.length} /> }] : []),
            { head: "Next hop", class: "mono", cell: (r) => <NextHop picture={picture} row={r} /> },
            { head: "To", cell: (r) => firstOf(r.to.filter((t) => !r.notTo.includes(t)), 4) || "–" },
            { head: "Not sent to", class: "bad", cell: (r) => r.notTo.join(", ") || (r.look === "bad" ? "any router" : "") },
          ]}
        />
      )}
      {unnamed && <p class="soft">A Speaker names its first 50 prefixes; of the others it tells how many there are and how many of them have been sent.</p>}
    </section>
  );
}

// NextHop is the address asked for, or the node's own in each session.
function NextHop({ picture, row }: { picture: Picture; row: Row }) {
  if (row.hop) return <>{row.hop}</>;
  if (row.nodes.length > 1) return <>each node</>;
  const v6 = row.prefix.includes(":");
  const sessions = picture.nodes.find((n) => n.name === row.nodes[0])?.sessions ?? [];
  const own = [...new Set(sessions.filter((s) => row.to.includes(s.peer) && s.up && s.from).map((s) => s.from!))];
  return <>{own.length > 0 && own.every((o) => o.includes(":") === v6) ? own.join(", ") : "this node"}</>;
}

export function WithheldView({ picture, scope }: Props) {
  const rows = useMemo(() => fates(picture, { ...scope, trouble: false }, withheldOf), [picture, scope]);
  const reasons = new Map<string, Row[]>();
  for (const r of rows) listed(reasons, r.reason).push(r);
  const total = picture.nodes.filter((n) => !n.silent).reduce((n, x) => n + picture.lists[x.list]!.withhold, 0);
  return (
    <section aria-labelledby="withheld">
      <h2 id="withheld">Withheld ({total.toLocaleString("en")}{picture.whole ? ", over all nodes" : ""})</h2>
      {rows.length === 0 && <p>{total > 0 ? "None of what is looked at." : "Nothing: what is selected is to be announced."}</p>}
      {[...reasons].map(([reason, of]) => (
        <Reason key={reason} reason={reason} rows={of} picture={picture} />
      ))}
    </section>
  );
}

function Reason({ reason, rows, picture }: { reason: string; rows: Row[]; picture: Picture }) {
  const first = rows[0]!;
  const subnets = new Set(rows.map((r) => r.subnet));
  const remedy = (picture.remedies[reason] ?? "").replace(/\bSUBNET\b/g, subnets.size === 1 ? first.subnet : "SUBNET").replace(/\bNODE\b/g, first.nodes.length === 1 ? first.nodes[0]! : "NODE");
  return (
    <details open class="reason">
      <summary>
        <Sign look={first.look} /> <b>{reason}</b> <span class="soft">{count(rows.length, "prefix", "prefixes")}</span>
      </summary>
      {remedy && (
        <p class="do">
          To announce {rows.length === 1 ? "it" : "them"}: <Fix text={remedy} />
        </p>
      )}
      <p class="do soft">
        Explain: <Copy text={picture.source.explain.replace("SUBNET", subnets.size === 1 ? first.subnet : "SUBNET")} />
      </p>
      <Table
        label={`Withheld, ${reason}`}
        rows={rows}
        id={(r) => [r.prefix, r.subnet, r.detail].join("|")}
        columns={[
          { head: "Prefix", class: "mono", cell: (r) => r.prefix },
          { head: "Subnet", cell: (r) => r.subnet },
          ...(picture.whole ? [{ head: "Nodes", cell: (r: Row) => <Names of={r.nodes} all={picture.nodes.length} /> }] : []),
          { head: "Detail", class: "wide", cell: (r) => r.detail },
        ]}
      />
    </details>
  );
}

interface FindingRow {
  nodes: string[];
  finding: Finding;
}

export function Hosts({ picture, scope }: Props) {
  const rows = useMemo(() => {
    const out = new Map<string, FindingRow>();
    for (const n of picture.nodes) {
      if (n.silent || (scope.nodes && !scope.nodes.has(n.name))) continue;
      for (const f of n.findings ?? []) {
        if (!has(scope.text, n.name, f.check, f.subject, f.got, ...(f.subjects ?? []))) continue;
        const key = JSON.stringify(f);
        const known = out.get(key);
        if (known) known.nodes.push(n.name);
        else out.set(key, { nodes: [n.name], finding: f });
      }
    }
    return [...out.values()].sort((a, b) => worstFirst(a.finding.level, b.finding.level));
  }, [picture, scope]);
  const own = picture.whole ? undefined : picture.nodes[0];
  const passed = Object.entries(own?.passed ?? {}).sort(([a], [b]) => byText(a, b));
  const ok = passed.reduce((n, [, k]) => n + k, 0);
  return (
    <section aria-labelledby="hosts">
      <h2 id="hosts">{picture.whole ? "Hosts" : "Host"}</h2>
      {own?.unchecked && <p>Not checked yet, or <code>--host=off</code>.</p>}
      {rows.length === 0 && !own?.unchecked && <p><Sign look="ok" /> {picture.whole ? "No node has found anything that is not ok." : ok > 0 ? `All ${count(ok, "check")} are ok.` : "Nothing is asked of the host: no traffic of what is announced goes through it."}</p>}
      {rows.slice(0, mostFindings).map((r) => (
        <FindingView key={JSON.stringify([r.finding.check, r.finding.subject, r.finding.level])} row={r} whole={picture.whole} all={picture.nodes.length} />
      ))}
      {rows.length > mostFindings && <p class="soft">And {(rows.length - mostFindings).toLocaleString("en")} more; the search above finds them.</p>}
      {passed.length > 0 && rows.length > 0 && (
        <details>
          <summary>{count(ok, "check is", "checks are")} ok</summary>
          <ul>{passed.map(([check, n]) => <li key={check}><Sign look="ok" /> {check}{n > 1 ? `: ${n.toLocaleString("en")}` : ""}</li>)}</ul>
        </details>
      )}
    </section>
  );
}

const mostFindings = 30;

function FindingView({ row, whole, all }: { row: FindingRow; whole: boolean; all: number }) {
  const f = row.finding;
  return (
    <article class={`finding ${f.level}`}>
      <h3>
        <Sign look={f.level} /> {f.check} <span class="mono">{f.subject}</span> <span class="soft">{f.level === "bad" ? "wrong" : "could not tell"}{whole && <> · <Names of={row.nodes} all={all} /></>}</span>
      </h3>
      {f.got && <p class="mono found">{f.got}</p>}
      {f.why && <p>{f.why}</p>}
      {(f.fixes ?? []).slice(0, 5).map((fix) => (
        <p key={fix} class="do">To do: {commandLike(fix) ? <Copy text={fix} /> : <Fix text={fix} />}</p>
      ))}
      {f.subjects && f.subjects.length > 3 && <details><summary>{count(f.subjects.length, "network")}</summary><p class="mono">{f.subjects.join(" ")}</p></details>}
    </article>
  );
}

// commandLike is a fix that is a command and nothing else.
function commandLike(fix: string): boolean {
  return /^(kubectl|sysctl|iptables|ip6tables|nft|ip|ovs-vsctl|fairway|systemctl|conntrack|echo) /.test(fix);
}

export function Warnings({ picture, scope }: Props) {
  const rows = picture.warnings.filter((w) => (!scope.subnets || scope.subnets.has(w.subnet)) && has(scope.text, w.subnet, w.reason, w.detail));
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="warnings">
      <h2 id="warnings">Warnings ({rows.length.toLocaleString("en")})</h2>
      <Table
        label="Warnings"
        rows={rows}
        id={(w) => [w.subnet, w.reason, w.detail].join("|")}
        columns={[
          { head: "Warning", cell: (w) => <><Sign look="warn" /> {w.reason}</> },
          { head: "Subnet", cell: (w) => w.subnet },
          { head: "Detail", class: "wide", cell: (w) => w.detail },
        ]}
      />
    </section>
  );
}

export function TimelineView({ picture, events, scope }: Props & { events: Event[] }) {
  const rows = events.filter((e) => has(scope.text, e.node, e.text, e.kind) && (!scope.trouble || e.level !== "ok") && (!scope.nodes || !e.node || scope.nodes.has(e.node)));
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">What happened</h2>
      {rows.length > 0 && (
        <Table
          label="What happened"
          rows={rows}
          id={(e) => [e.at, e.node, e.text].join("|")}
          columns={[
            { head: "Ago", class: "number", cell: (e) => <Age of={e.at} /> },
            { head: "At", class: "mono", cell: (e) => e.at.slice(11, 19) + "Z" },
            ...(picture.whole ? [{ head: "Node", cell: (e: Event) => e.node ?? "" }] : []),
            { head: "What", class: "wide", cell: (e) => <><Sign look={e.level} /> {e.text}</> },
          ]}
        />
      )}
      <p class="soft">
        {rows.length === 0 && "Nothing has changed. "}Seen since <time dateTime={picture.started}>{picture.started.slice(0, 19).replace("T", " ")}Z</time>; of before, and of more than 200 changes, nothing is kept here.
      </p>
    </section>
  );
}
