/** What was said, by whom. Lines are only ever added or settled, so that a screen reader hears each once. */
import type { Line, View } from "../state.ts";
import { byId, child, make, setAttribute, setText } from "./dom.ts";

/** More new lines than this at once are what was said before, which nobody wants to be read out. */
const MAX_READ_OUT = 4;
const QUIET_MS = 1_000;

const log = byId("transcript", HTMLElement);
const list = child(log, "ol", HTMLOListElement);
const empty = byId("transcript-empty", HTMLElement);
const exampleText = byId("transcript-example", HTMLElement);
const shown = new Map<number, HTMLLIElement>();
let isAtEnd = true;

log.addEventListener("scroll", () => {
  isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
// A notice above takes some of its height; the last line stays in view.
new ResizeObserver(() => stayAtEnd()).observe(log);

export function setTranscriptHint(example: string | null): void {
  setText(exampleText, example === null ? "What is said appears here." : `For instance: “${example}”.`);
}

export function renderTranscript(view: View, previous: View): void {
  // Before the first answer nobody knows whether something was said; the room is kept.
  empty.hidden = view.lines.length > 0;
  empty.classList.toggle("not-yet", view.server === "unknown");
  if (view.lines === previous.lines && list.childElementCount > 0) return;
  const added = view.lines.filter((line) => !shown.has(line.key)).length;
  if (added > MAX_READ_OUT) beQuiet();
  removeGone(view.lines);
  view.lines.forEach(place);
  stayAtEnd();
}

function stayAtEnd(): void {
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function beQuiet(): void {
  setAttribute(log, "aria-live", "off");
  setTimeout(() => setAttribute(log, "aria-live", "polite"), QUIET_MS);
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
