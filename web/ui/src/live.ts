// How the page is kept up to date: /events says that there is something newer, and it is
// fetched from /picture.json. There is never more than one fetch, and where the stream is
// refused, asking now and then stands in for it.
import type { Shown } from "./model";

export interface Live {
  shown?: Shown;
  // refused says why there is no picture yet.
  refused?: string;
  // heard is when the daemon was heard last, by this machine's clock; 0 for never.
  heard: number;
  lost: boolean;
  // ahead is how far the daemon's clock is ahead of this machine's, in milliseconds.
  ahead: number;
  // at is when the picture was last seen to be so, by the daemon's clock.
  at?: string;
}

interface Beat {
  tag: string;
  at?: string;
  now: string;
}

// silentAfter is how long the daemon may say nothing; it has a beat every 5 s.
const silentAfter = 12_000;
const retryAfter = 2_000;

// follow keeps state up to date and calls changed, until the page is closed.
export function follow(changed: (l: Live) => void): void {
  const live: Live = { heard: 0, lost: false, ahead: 0 };
  let have = "", wanted = "", fetching = false;
  const tell = () => changed({ ...live });

  async function fetchPicture(): Promise<void> {
    if (fetching) return;
    fetching = true;
    try {
      const r = await fetch("/picture.json");
      if (r.ok) {
        live.shown = (await r.json()) as Shown;
        live.refused = undefined;
        have = (r.headers.get("ETag") ?? "").replaceAll('"', "").replace(/^W\//, "");
        heard();
      } else {
        live.refused = (await r.text()).trim();
      }
      tell();
    } catch {
      lose();
    } finally {
      fetching = false;
    }
    if (wanted !== "" && wanted !== have && !live.lost) setTimeout(() => void fetchPicture(), 300);
  }

  function heard(): void {
    live.heard = Date.now();
    live.lost = false;
  }

  function lose(): void {
    if (live.lost) return;
    live.lost = true;
    tell();
  }

  function listen(): void {
    const stream = new EventSource("/events");
    stream.onmessage = (e: MessageEvent<string>) => {
      const beat = JSON.parse(e.data) as Beat;
      const was = live.lost;
      heard();
      live.ahead = Date.parse(beat.now) - Date.now();
      live.at = beat.at;
      wanted = beat.tag;
      if (wanted !== "" && wanted !== have) void fetchPicture();
      else if (was || wanted === "") tell();
    };
    stream.onerror = () => {
      if (stream.readyState !== EventSource.CLOSED) {
        lose(); // the browser tries again by itself
        return;
      }
      stream.close();
      void fetchPicture();
      setTimeout(listen, retryAfter);
    };
  }

  setInterval(() => {
    if (live.heard > 0 && Date.now() - live.heard > silentAfter) lose();
  }, 1000);
  void fetchPicture();
  listen();
}
