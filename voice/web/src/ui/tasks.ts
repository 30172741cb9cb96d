/**
 * The list of task cards, the newest on top. Where there are many, those that had ended long before they came here are
 * folded away; a card that was seen once stays.
 */
import { hasEnded, type Card } from "../protocol.ts";
import { orderTasks, type View } from "../state.ts";
import { byId, setAttribute, setText } from "./dom.ts";
import { TaskCard, type CardActions } from "./task_card.ts";

/** Ended tasks that are shown at once. */
const FIRST = 8;

const list = byId("tasks", HTMLUListElement);
const empty = byId("tasks-empty", HTMLElement);
const count = byId("tasks-count", HTMLElement);
const more = byId("tasks-more", HTMLButtonElement);
const cards = new Map<string, TaskCard>();
const folded = new Set<string>();
let isUnfolded = false;

more.addEventListener("click", () => {
  isUnfolded = !isUnfolded;
  showFold();
});

export function renderTasks(view: View, previous: View, actions: CardActions): void {
  // Before the first answer nobody knows whether there are tasks; the room is kept.
  empty.hidden = view.tasks.length > 0;
  empty.classList.toggle("not-yet", view.server === "unknown");
  if (view.tasks === previous.tasks && cards.size === view.tasks.length) return;
  const tasks = orderTasks(view.tasks);
  removeOthers(new Set(tasks.map((task) => task.id)));
  const focused = document.activeElement;
  tasks.forEach((task, index) => {
    let card = cards.get(task.id);
    if (card) card.update(task);
    else {
      cards.set(task.id, (card = new TaskCard(task, actions)));
      if (index >= FIRST && hasEnded(task.state)) folded.add(task.id);
    }
    if (list.children[index] !== card.element) list.insertBefore(card.element, list.children[index] ?? null);
  });
  // An element that was moved has lost its focus.
  if (focused instanceof HTMLElement && focused !== document.activeElement && list.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
  showFold();
  showCount(tasks);
}

function removeOthers(ids: ReadonlySet<string>): void {
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.element.remove();
    cards.delete(id);
    folded.delete(id);
  }
}

function showFold(): void {
  for (const [id, card] of cards) card.element.hidden = folded.has(id) && !isUnfolded;
  more.hidden = folded.size === 0;
  setAttribute(more, "aria-expanded", String(isUnfolded));
  setText(more, isUnfolded ? "Show fewer" : `Show ${folded.size} earlier ${folded.size === 1 ? "task" : "tasks"}`);
}

function showCount(tasks: readonly Card[]): void {
  const active = tasks.filter((task) => !hasEnded(task.state));
  const waiting = active.filter((task) => task.state === "queued" || task.state === "retry_wait").length;
  const words = [[active.length - waiting, "running"] as const, [waiting, "waiting"] as const]
    .filter(([number]) => number > 0)
    .map(([number, word]) => `${number} ${word}`)
    .join(", ");
  count.hidden = words === "";
  setText(count, words);
  document.title = words === "" ? "Sisyphus" : `${words} – Sisyphus`;
}
