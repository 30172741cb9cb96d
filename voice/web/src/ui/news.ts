/** Tells a screen reader how tasks ended while nobody is in a call; in one, the conversation says it. */
import { hasEnded } from "../protocol.ts";
import type { View } from "../state.ts";
import { byId } from "./dom.ts";
import { endSentence } from "./words.ts";

const region = byId("news", HTMLElement);

export function renderNews(view: View, previous: View): void {
  if (view.tasks === previous.tasks || view.link.phase === "online") return;
  const before = new Map(previous.tasks.map((task) => [task.id, task]));
  const ended = view.tasks.filter((task) => {
    const known = before.get(task.id);
    return known !== undefined && !hasEnded(known.state) && hasEnded(task.state);
  });
  if (ended.length > 0) region.textContent = ended.map(endSentence).join(" ");
}
