/** What was said, by whom. Lines are only ever added or settled, so that a screen reader hears each once. */
import type { Line, View } from "../state.ts";
import { byId, child, make, setAttribute, setText } from "./dom.ts";

const log = byId("transcript", HTMLElement);
const list = child(log, "ol", HTMLOListElement);
const empty = byId("transcript-empty", HTMLElement);
const exampleText = byId("transcript-example", HTMLElement);
const shown = new Map<number, HTMLLIElement>();

export function setTranscriptHint(example: string | null): void {
  setText(exampleText, example === null ? "What is said appears here." : `For instance: “${example}”.`);
}

export function renderTranscript(view: View, previous: View): void {
  if (view.lines === previous.lines && list.childElementCount > 0) return;
  const wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  removeGone(view.lines);
  view.lines.forEach(place);
  empty.hidden = view.lines.length > 0;
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
}

function removeGone(lines: readonly Line[]): void {
  const keys = new Set(lines.map((line) => line.key));
  for (const [key, item] of shown) {
    if (keys.has(key)) continue;
    item.remove();
    shown.delete(key);
  }
}

function place(line: Line, index: number): void {
  let item = shown.get(line.key);
  if (!item) {
    const who = make("span", { class: "who" }, line.who === "user" ? "You" : "Sisyphus");
    item = make("li", { class: `line ${line.who}` }, who, make("p", {}, line.text));
    shown.set(line.key, item);
  }
  setAttribute(item, "data-delivery", line.delivery);
  if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
}
