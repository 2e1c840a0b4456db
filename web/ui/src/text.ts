// How wide text is, so that it fits its box.

const ends = "…";
let context: CanvasRenderingContext2D | null | undefined;
const widths = new Map<string, number>();

function widthOf(text: string, font: string): number {
  const key = font + text;
  let w = widths.get(key);
  if (w === undefined) {
    context ??= document.createElement("canvas").getContext("2d");
    if (!context) return text.length * 7;
    context.font = font;
    w = context.measureText(text).width;
    if (widths.size > 20_000) widths.clear();
    widths.set(key, w);
  }
  return w;
}

// fit cuts text to a width in pixels.
export function fit(text: string, width: number, font: string): string {
  if (widthOf(text, font) <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (widthOf(text.slice(0, mid) + ends, font) <= width) low = mid;
    else high = mid - 1;
  }
  return text.slice(0, low) + ends;
}
