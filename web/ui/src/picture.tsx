// The picture: routers, nodes and Subnets as columns of boxes, sessions and announcements
// as lines. It is one list to the keyboard and to a screen reader: arrows move, Enter
// selects, Escape lets go.
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Box, type Drawing, type Kind, type Line, moreName, related } from "./group";
import { type Layout, place, type Place } from "./layout";
import { glyph, lookWord } from "./model";
import { fit } from "./text";

const fontTitle = "600 14px system-ui, sans-serif", fontLine = "12.5px system-ui, sans-serif";

interface Props {
  drawing: Drawing;
  selected?: string;
  select: (id: string | undefined) => void;
  toggle: (group: string) => void;
}

export function PictureView({ drawing, selected, select, toggle }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const layout = useMemo(() => (width > 0 ? place(drawing, width) : undefined), [drawing, width]);
  const belongs = useMemo(() => (selected ? related(drawing, selected) : undefined), [drawing, selected]);
  useLayoutEffect(() => {
    if (layout && performance.getEntriesByName("picture").length === 0) performance.mark("picture");
  }, [layout]);
  const faded = (id: string) => (belongs && !belongs.has(id) ? " faded" : "");
  return (
    <div class="frame" ref={frame}>
      {layout && (
        <svg class={drawing.lines.length > 40 ? "many" : ""} width={layout.width} height={layout.height} viewBox={`0 0 ${layout.width} ${layout.height}`} onClick={(e) => e.target === e.currentTarget && select(undefined)}>
          <Heads drawing={drawing} layout={layout} />
          <g aria-hidden="true">
            {drawing.lines.map((l) => (
              <LineView key={l.id} line={l} layout={layout} faded={faded(l.id)} chosen={belongs?.has(l.id) ?? false} many={drawing.lines.length > 120} />
            ))}
          </g>
          <Boxes drawing={drawing} layout={layout} selected={selected} select={select} toggle={toggle} faded={faded} />
        </svg>
      )}
    </div>
  );
}

// useWidth is the width of an element, whatever happens to the window.
function useWidth(of: { current: HTMLElement | null }): number {
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    const e = of.current;
    if (!e) return;
    const look = () => set(Math.floor(e.clientWidth));
    look();
    const o = new ResizeObserver(look);
    o.observe(e);
    return () => o.disconnect();
  }, []);
  return width;
}

const heads: [Kind, string][] = [["router", "Routers"], ["node", "Nodes"], ["subnet", "Subnets"]];

function Heads({ drawing, layout }: { drawing: Drawing; layout: Layout }) {
  return (
    <g aria-hidden="true">
      {heads.map(([kind, text]) => (
        <text key={kind} class="head" x={layout.columns[kind]} y={18}>
          {text} ({drawing.boxes.filter((b) => b.kind === kind).reduce((n, b) => n + b.names.filter((name) => name !== moreName).length, 0).toLocaleString("en")})
        </text>
      ))}
    </g>
  );
}

function LineView({ line, layout, faded, chosen, many }: { line: Line; layout: Layout; faded: string; chosen: boolean; many: boolean }) {
  const a = layout.at.get(line.from), b = layout.at.get(line.to);
  if (!a || !b) return null;
  const x1 = a.x + a.width, y1 = a.y + a.height / 2, x2 = b.x, y2 = b.y + b.height / 2;
  const bend = (x2 - x1) / 2;
  // An announcement's label is near its Subnet, where lines do not meet; the share of the
  // curve's way there, and where that is (a cubic Bézier curve).
  const share = line.kind === "session" || x2 - x1 < 70 ? 0.5 : 0.72, up = share * share * (3 - 2 * share);
  const x = x1 + (x2 - x1) * (1.5 * share * (1 - share) + share ** 3), y = y1 + (y2 - y1) * up;
  const labelled = line.label !== "" && x2 - x1 > 70 && !faded && (!many || line.look !== "ok" || chosen);
  return (
    <g class={`line ${line.kind} ${line.look}${line.standby ? " standby" : ""}${faded}`}>
      <path d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}>
        <title>{line.hint}</title>
      </path>
      {labelled ? <LineLabel line={line} x={x} y={y} room={x2 - x1 - 16} /> : line.look !== "ok" && !faded && <Mark look={line.look} x={x} y={y} />}
    </g>
  );
}

function LineLabel({ line, x, y, room }: { line: Line; x: number; y: number; room: number }) {
  const text = fit(line.look === "ok" ? line.label : `${glyph[line.look]} ${line.label.replace(/^\? /, "")}`, room, fontLine);
  const width = Math.min(room, text.length * 6.6 + 12);
  return (
    <>
      <rect class="labelback" x={x - width / 2} y={y - 9} width={width} height={18} rx={9} />
      <text class="label" x={x} y={y + 4}>
        {text}
      </text>
    </>
  );
}

// Mark is a look as a shape with a sign.
function Mark({ look, x, y }: { look: keyof typeof glyph; x: number; y: number }) {
  return (
    <g class={`mark ${look}`}>
      {look === "bad" ? <rect x={x - 8} y={y - 8} width={16} height={16} rx={2} /> : look === "warn" ? <path d={`M${x} ${y - 10}L${x + 10} ${y + 8}H${x - 10}Z`} /> : <circle cx={x} cy={y} r={8} />}
      <text x={x} y={y + 4.5}>
        {glyph[look]}
      </text>
    </g>
  );
}

interface BoxesProps extends Props {
  layout: Layout;
  faded: (id: string) => string;
}

function Boxes({ drawing, layout, selected, select, toggle, faded }: BoxesProps) {
  const list = useRef<SVGGElement>(null);
  const [current, setCurrent] = useState<string>();
  const stop = drawing.boxes.some((b) => b.id === current) ? current : (selected ?? drawing.boxes[0]?.id);
  const go = (id: string | undefined) => {
    if (!id) return;
    setCurrent(id);
    list.current?.querySelector<SVGGElement>(`[data-id="${CSS.escape(id)}"]`)?.focus();
  };
  const onKey = (e: KeyboardEvent, b: Box) => {
    const to = target(drawing, layout, b, e.key);
    if (to) go(to.id);
    else if (e.key === "Enter" || e.key === " ") select(selected === b.id ? undefined : b.id);
    else if ((e.key === "+" || e.key === "-") && b.group) toggle(b.group);
    else return;
    e.preventDefault();
  };
  return (
    <g ref={list} role="listbox" aria-label="Routers, nodes and Subnets. Arrow keys move, Enter selects, Escape lets go, plus opens a group.">
      {drawing.boxes.map((b) => {
        const at = layout.at.get(b.id);
        return (
          at && (
            <g
              key={b.id}
              data-id={b.id}
              class={`box ${b.kind} ${b.look}${faded(b.id)}${selected === b.id ? " selected" : ""}`}
              role="option"
              aria-selected={selected === b.id}
              tabindex={b.id === stop ? 0 : -1}
              transform={`translate(${at.x} ${at.y})`}
              onClick={() => (setCurrent(b.id), select(selected === b.id ? undefined : b.id))}
              onDblClick={() => b.group && toggle(b.group)}
              onKeyDown={(e) => onKey(e, b)}
            >
              <title>{say(b)}</title>
              <BoxView box={b} at={at} />
            </g>
          )
        );
      })}
    </g>
  );
}

// target is where an arrow leads.
function target(d: Drawing, layout: Layout, from: Box, key: string): Box | undefined {
  const at = layout.at.get(from.id);
  if (!at) return undefined;
  const y = (b: Box) => layout.at.get(b.id)!.y;
  const own = d.boxes.filter((b) => b.kind === from.kind).sort((a, b) => y(a) - y(b));
  const i = own.findIndex((b) => b.id === from.id);
  if (key === "ArrowDown") return own[i + 1];
  if (key === "ArrowUp") return own[i - 1];
  if (key === "Home") return own[0];
  if (key === "End") return own[own.length - 1];
  const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  const kind = heads[heads.findIndex(([k]) => k === from.kind) + step]?.[0];
  if (step === 0 || !kind) return undefined;
  return d.boxes.filter((b) => b.kind === kind).sort((a, b) => Math.abs(y(a) - at.y) - Math.abs(y(b) - at.y))[0];
}

const noun: Record<Kind, string> = { router: "Router", node: "Node", subnet: "Subnet" };

function say(b: Box): string {
  return [`${noun[b.kind]} ${b.title}, ${lookWord[b.look]}`, ...b.lines.filter(Boolean), ...b.marks.map((m) => m.text)].join(", ");
}

function BoxView({ box, at }: { box: Box; at: Place }) {
  const small = at.width < 150;
  const left = small ? 26 : 34, room = at.width - left - 8;
  const lines = box.lines.filter(Boolean);
  return (
    <g aria-hidden="true">
      {box.open === false && <rect class="behind" x={4} y={4} width={at.width} height={at.height} rx={7} />}
      <rect class="body" width={at.width} height={at.height} rx={7} />
      <Mark look={box.look} x={small ? 14 : 18} y={18} />
      <text class="title" x={left} y={22}>
        {fit(box.title, room, fontTitle)}
      </text>
      {lines.map((text, i) => (
        <text key={i} class="sub" x={small ? 8 : left} y={39 + 17 * i}>
          {fit(text, small ? at.width - 14 : room, fontLine)}
        </text>
      ))}
      {box.marks.length > 0 && (
        <text class="found" x={small ? 8 : left} y={39 + 17 * lines.length}>
          {box.marks.map((m, i) => (
            <tspan key={i} class={m.look} dx={i > 0 ? 8 : 0}>
              {glyph[m.look]} {small ? parseInt(m.text) || "" : m.text}
            </tspan>
          ))}
        </text>
      )}
    </g>
  );
}
