/** The list of task cards: running first, the newest on top. */
import { hasEnded } from "../protocol.ts";
import { orderTasks, type View } from "../state.ts";
import { byId, setText } from "./dom.ts";
import { TaskCard } from "./task_card.ts";

const list = byId("tasks", HTMLUListElement);
const empty = byId("tasks-empty", HTMLElement);
const count = byId("tasks-count", HTMLElement);
const cards = new Map<string, TaskCard>();

export function renderTasks(view: View, previous: View, onCancel: (id: string) => void): void {
  if (view.tasks === previous.tasks && cards.size === view.tasks.length) return;
  const tasks = orderTasks(view.tasks);
  const ids = new Set(tasks.map((task) => task.id));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.element.remove();
    cards.delete(id);
  }
  tasks.forEach((task, index) => {
    let card = cards.get(task.id);
    if (card) card.update(task);
    else cards.set(task.id, (card = new TaskCard(task, onCancel)));
    // Moving an element drops its focus, so only those in the wrong place are moved.
    if (list.children[index] !== card.element) list.insertBefore(card.element, list.children[index] ?? null);
  });
  const active = tasks.filter((task) => !hasEnded(task.state)).length;
  count.hidden = active === 0;
  setText(count, `${active} running`);
  empty.hidden = tasks.length > 0;
}
