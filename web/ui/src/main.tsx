// The page.
import { render } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { draw, type Drawing, moreName } from "./group";
import { follow, type Live } from "./live";
import { age, count, firstOf, glyph, type Look, lookWord, type Picture } from "./model";
import { clock, Sign, useSecond } from "./parts";
import { PictureView } from "./picture";
import { Announcements, Hosts, type Scope, Sessions, TimelineView, Warnings, WithheldView } from "./sections";

function App() {
  const [live, setLive] = useState<Live>({ heard: 0, lost: false, ahead: 0 });
  useEffect(() => follow((l) => { clock.ahead = l.ahead; setLive(l); }), []);
  const shown = live.shown;
  useEffect(() => {
    if (shown) document.title = `${glyph[shown.picture.verdict.level]} ${shown.picture.verdict.text} · Fairway`;
  }, [shown]);
  if (!shown) {
    return (
      <main class="starting">
        <h1>Fairway</h1>
        <p role="status">{live.lost ? "Nobody answers. Is the daemon running?" : (live.refused ?? "Reading…")}</p>
      </main>
    );
  }
  return (
    <>
      <Top picture={shown.picture} live={live} />
      <Body picture={shown.picture} live={live} />
    </>
  );
}

function Top({ picture, live }: { picture: Picture; live: Live }) {
  const node = picture.whole ? undefined : picture.nodes[0];
  return (
    <header>
      <div class="name">
        <h1>{picture.whole ? "Fairway, whole cluster" : `Fairway on ${picture.name}`}</h1>
        <p class="soft">
          {picture.whole ? picture.name : [node?.asn ? `AS ${node.asn}` : "", node?.routerID ? `router ID ${node.routerID}` : ""].filter(Boolean).join(", ")} · version {picture.version}
        </p>
        <Freshness live={live} />
      </div>
      <div class={`verdict ${picture.verdict.level}`} role="status" aria-live="polite">
        <span class="big" aria-hidden="true">{glyph[picture.verdict.level]}</span>
        <span>
          <span class="hidden">{lookWord[picture.verdict.level]}: </span>
          {picture.verdict.text}
        </span>
      </div>
      {node?.drain && <p class="drain"><Sign look="warn" /> Draining: {node.drain}.</p>}
      <Problems picture={picture} />
    </header>
  );
}

// Freshness says whether what is seen is so now.
function Freshness({ live }: { live: Live }) {
  useSecond();
  const silent = Math.round((Date.now() - live.heard) / 1000);
  const behind = live.at ? Math.round((clock.now() - Date.parse(live.at)) / 1000) : 0;
  if (live.lost) {
    return <p class="lost" role="alert">✕ Connection lost: what you see is {silent} s old. Trying again.</p>;
  }
  if (behind > 120) return <p class="lost" role="alert">! The daemon has not looked for {age(live.at!, clock.now())}.</p>;
  return <p class="live"><span aria-hidden="true">●</span> live</p>;
}

const mostProblems = 4;

function Problems({ picture }: { picture: Picture }) {
  const [all, setAll] = useState(false);
  const problems = picture.whole
    ? [...picture.source.problems, ...picture.nodes.flatMap((n) => (n.problems ?? []).map((p) => `${n.name}: ${p}`))]
    : (picture.nodes[0]?.problems ?? []); // which has those of the source
  if (problems.length === 0) return null;
  const shown = problems.slice(0, all ? 100 : mostProblems);
  return (
    <div class="problems">
      <ul aria-label="What is not as it should be">
        {shown.map((p) => (
          <li key={p}>{p}</li>
        ))}
      </ul>
      {problems.length > mostProblems && (
        <button type="button" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show ${count(problems.length - mostProblems, "more problem")}`}
        </button>
      )}
      {all && problems.length > 100 && <p class="soft">And {(problems.length - 100).toLocaleString("en")} more.</p>}
    </div>
  );
}

function Body({ picture, live }: { picture: Picture; live: Live }) {
  const [text, setText] = useState("");
  const [trouble, setTrouble] = useState(false);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [selected, select] = useState<string>();
  const drawing = useMemo(() => draw(picture, { text, trouble, open }), [picture, text, trouble, open]);
  const toggle = useCallback((group: string) => setOpen((was) => {
    const now = new Set(was);
    if (!now.delete(group)) now.add(group);
    return now;
  }), []);
  useEffect(() => {
    const letGo = (e: KeyboardEvent) => e.key === "Escape" && select(undefined);
    addEventListener("keydown", letGo);
    return () => removeEventListener("keydown", letGo);
  }, []);
  const box = drawing.boxes.find((b) => b.id === selected);
  const scope = useMemo(() => scopeOf(drawing, selected, text, trouble), [drawing, selected, text, trouble]);
  const lost = live.lost ? " stale" : "";
  return (
    <main class={lost}>
      <section aria-labelledby="picture" class="card">
        <h2 id="picture" class="hidden">Picture</h2>
        <div class="tools">
          <label>
            <span class="hidden">Search</span>
            <input type="search" placeholder="Search node, router, Subnet, prefix, reason" value={text} onInput={(e) => setText(e.currentTarget.value)} />
          </label>
          <label class="check">
            <input type="checkbox" checked={trouble} onChange={(e) => setTrouble(e.currentTarget.checked)} /> only what is not well
          </label>
          <Legend />
        </div>
        {drawing.boxes.length === 0 ? (
          <p class="nothing">{trouble && !text ? "Everything is well." : text ? "Nothing is called like that." : "No router, node or Subnet is known yet."}</p>
        ) : (
          <PictureView drawing={drawing} selected={selected} select={select} toggle={toggle} />
        )}
        {box && (
          <div class="chosen">
            <p>
              <Sign look={box.look} word /> <b>{box.title}</b> {box.lines.filter(Boolean).join(" · ")}
              {box.names.length > 1 && <span class="soft"> ({firstOf(box.names.filter((n) => n !== moreName), 12)})</span>}
            </p>
            {box.group && <button type="button" onClick={() => (toggle(box.group!), select(undefined))}>{box.open ? "Fold the equal ones" : `Show all ${box.names.length} one by one`}</button>}
            <button type="button" onClick={() => select(undefined)}>Let go</button>
            <span class="soft">Below is only what belongs to it.</span>
          </div>
        )}
      </section>
      <Sessions picture={picture} scope={scope} />
      <Announcements picture={picture} scope={scope} />
      <WithheldView picture={picture} scope={scope} />
      <Hosts picture={picture} scope={scope} />
      <Warnings picture={picture} scope={scope} />
      <TimelineView picture={picture} scope={scope} events={live.shown?.timeline ?? []} />
      <footer class="soft">
        <p>Source: {picture.source.text}.</p>
        <p>
          {picture.whole ? <>As text: <code>kubectl fairway status --cluster</code>.</> : <>The same as JSON: <a href="/status.json">/status.json</a>; as text: <code>fairway status</code>. The whole cluster: <code>kubectl fairway ui</code> where there is a kubeconfig.</>}
        </p>
      </footer>
    </main>
  );
}

// scopeOf is what belongs to the selected box.
function scopeOf(drawing: Drawing, selected: string | undefined, text: string, trouble: boolean): Scope {
  const box = drawing.boxes.find((b) => b.id === selected);
  if (!box) return { text, trouble };
  const ids = new Set([box.id]);
  const near = new Set(drawing.lines.filter((l) => l.from === box.id || l.to === box.id).flatMap((l) => [l.from, l.to]));
  for (const id of near) ids.add(id);
  const names = (kind: string) => new Set(drawing.boxes.filter((b) => b.kind === kind && ids.has(b.id)).flatMap((b) => b.names));
  if (box.kind === "router") return { text, trouble, peers: new Set(box.names), nodes: names("node") };
  if (box.kind === "node") return { text, trouble, nodes: new Set(box.names) };
  return { text, trouble, subnets: new Set(box.names), nodes: names("node") };
}

const looks: [Look, string][] = [
  ["ok", "well, and sent"],
  ["bad", "down, wrong, or not sent"],
  ["warn", "limited, or draining"],
  ["unknown", "could not be told"],
  ["off", "withheld"],
];

function Legend() {
  return (
    <details class="legend">
      <summary>Legend</summary>
      <ul>
        {looks.map(([look, text]) => (
          <li key={look}>
            <Sign look={look} /> {text}
          </li>
        ))}
        <li><svg width="34" height="10" aria-hidden="true"><g class="line session ok"><path d="M0 5H34" /></g></svg> session that is up</li>
        <li><svg width="34" height="10" aria-hidden="true"><g class="line session bad"><path d="M0 5H34" /></g></svg> session that is down</li>
        <li><svg width="34" height="10" aria-hidden="true"><g class="line announced ok"><path d="M0 5H34" /></g></svg> announced by the node</li>
        <li><svg width="34" height="10" aria-hidden="true"><g class="line announced ok standby"><path d="M0 5H34" /></g></svg> announced as standby</li>
        <li><svg width="34" height="10" aria-hidden="true"><g class="line withheld off"><path d="M0 5H34" /></g></svg> withheld</li>
        <li>A box behind a box: several that are equal. Open it by a double click, or the key +.</li>
      </ul>
    </details>
  );
}

const app = document.getElementById("app")!;
app.replaceChildren();
render(<App />, app);
