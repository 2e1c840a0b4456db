// Small parts of the page.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { age, glyph, type Look, lookWord } from "./model";

// clock tells the daemon's time, by what its beats have said of it.
export const clock = { ahead: 0, now: () => Date.now() + clock.ahead };

// useSecond draws a part again each second, and nothing else.
export function useSecond(): number {
  const [, set] = useState(0);
  useEffect(() => {
    const t = setInterval(() => set((n) => n + 1), 1000);
    return () => clearInterval(t);
  }, []);
  return clock.now();
}

export function Age({ of }: { of?: string }) {
  const now = useSecond();
  if (!of) return <>–</>;
  return <time dateTime={of} title={new Date(of).toISOString()}>{age(of, now)}</time>;
}

export function Sign({ look, word }: { look: Look; word?: boolean }) {
  return (
    <span class={`sign ${look}`}>
      <span aria-hidden="true">{glyph[look]}</span>
      <span class={word ? "" : "hidden"}>{lookWord[look]}</span>
    </span>
  );
}

export function Copy({ text }: { text: string }) {
  const [done, set] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => set("copied"),
      () => set("select it and copy by hand"),
    );
  return (
    <span class="copy">
      <code>{text}</code>
      <button type="button" onClick={() => void copy()} onBlur={() => set("")} aria-label={`Copy: ${text}`}>
        copy
      </button>
      <span role="status">{done}</span>
    </span>
  );
}

// Fix shows what to do, with what can be copied of it: what is behind the colon, or all.
export function Fix({ text }: { text: string }) {
  const command = commandIn(text);
  if (!command) return <>{text}</>;
  const before = text.slice(0, text.indexOf(command));
  const after = text.slice(text.indexOf(command) + command.length);
  return (
    <>
      {before}
      <Copy text={command} />
      {after}
    </>
  );
}

const programs = /(?:^|[\s:(])((?:kubectl|sysctl|iptables|ip6tables|nft|ip|ovs-vsctl|fairway|systemctl|conntrack|iptables-[a-z-]+) [^;]+)/;

// commandIn finds the command in a remedy; "" for none. A sentence's full stop is not of it.
export function commandIn(text: string): string {
  const found = programs.exec(text)?.[1] ?? "";
  return found.replace(/[.,]?\s*$/, "");
}

interface Column<T> {
  head: string;
  class?: string;
  cell: (row: T) => ComponentChildren;
}

const firstRows = 40, moreRows = 200;

// Table shows the first rows of many, and more when asked: ten thousand are no burden.
export function Table<T>({ label, rows, columns, id }: { label: string; rows: T[]; columns: Column<T>[]; id: (row: T) => string }) {
  const [most, set] = useState(firstRows);
  const rest = rows.length - most;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={`${label}, table`}>
        <table>
          <thead>
            <tr>
              {columns.map((c) => (
                <th key={c.head} scope="col" class={c.class}>
                  {c.head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, most).map((row) => (
              <tr key={id(row)}>
                {columns.map((c) => (
                  <td key={c.head} class={c.class} data-head={c.head}>
                    {c.cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rest > 0 && (
        <p class="more">
          <button type="button" onClick={() => set(most + moreRows)}>
            Show {Math.min(rest, moreRows).toLocaleString("en")} more
          </button>{" "}
          {rest.toLocaleString("en")} not shown; the search above finds them.
        </p>
      )}
    </>
  );
}
