/** One task: what it is, how far it is, what came of it. Made once and then kept up to date in place. */
import { hasEnded, type Card, type TaskState, type TodoStatus } from "../protocol.ts";
import { askFirst } from "./confirm.ts";
import { icon, make, setAttribute, setText } from "./dom.ts";

const STATE_WORDS: Record<TaskState, string> = {
  queued: "Queued",
  initializing: "Starting",
  running: "Running",
  committing: "Saving results",
  retry_wait: "Will retry",
  complete: "Complete",
  executor_error: "Failed",
  system_error: "System error",
  canceled: "Canceled",
};

const TODO_WORDS: Record<TodoStatus, string> = {
  pending: "to do",
  in_progress: "in progress",
  completed: "done",
  failed: "failed",
};
const TODO_ICONS: Record<TodoStatus, string> = { pending: "dot", in_progress: "dot", completed: "check", failed: "cross" };

export class TaskCard {
  readonly element: HTMLLIElement;
  readonly #title = make("h3");
  readonly #badge = make("span", { class: "badge" });
  readonly #bar = make("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" });
  readonly #percent = make("span", { class: "percent", "aria-hidden": "true" });
  readonly #line = make("p", { class: "milestone" });
  readonly #result = make("p", { class: "result", "data-testid": "result" });
  readonly #error = make("p", { class: "failure", "data-testid": "task-error" });
  readonly #steps = make("details", { class: "steps" });
  readonly #stepsTitle = make("summary");
  readonly #todos = make("ol", { class: "todos" });
  readonly #outputs = make("ul", { class: "outputs", "aria-label": "Output files" });
  readonly #cancel = make("button", { type: "button", class: "button small quiet", "data-testid": "cancel" }, "Cancel task");
  readonly #foot = make("div", { class: "card-foot" });
  #last: Card | null = null;

  constructor(card: Card, onCancel: (id: string) => void) {
    this.#steps.append(this.#stepsTitle, this.#todos);
    this.#foot.append(this.#cancel);
    this.#bar.append(make("i"));
    this.element = make(
      "li",
      { class: "panel card", "data-testid": "task-card", "data-task-id": card.id },
      make("div", { class: "card-head" }, this.#title, this.#badge),
      make("div", { class: "progress" }, this.#bar, this.#percent),
      this.#line,
      this.#result,
      this.#error,
      this.#steps,
      this.#outputs,
      this.#foot,
    );
    const question = { text: "Cancel this task?", yes: "Yes, cancel it", no: "Keep it" };
    askFirst(this.#foot, this.#cancel, question, () => onCancel(card.id));
    this.update(card);
  }

  update(card: Card): void {
    if (card === this.#last) return;
    const ended = hasEnded(card.state);
    setAttribute(this.element, "data-state", card.state);
    setAttribute(this.element, "data-progress", card.progress === null ? "" : String(card.progress));
    setText(this.#title, card.title);
    setAttribute(this.#title, "title", `${card.name} · ${card.id}`);
    setText(this.#badge, STATE_WORDS[card.state]);
    this.#showProgress(card, ended);
    show(this.#line, ended && card.result !== null ? null : card.line);
    show(this.#result, card.result);
    show(this.#error, card.error);
    this.#showTodos(card, ended);
    this.#showOutputs(card);
    this.#foot.hidden = ended;
    this.#last = card;
  }

  #showProgress(card: Card, ended: boolean): void {
    const value = card.state === "complete" ? 100 : card.progress;
    const unknown = value === null && !ended && card.state !== "queued";
    this.#bar.classList.toggle("unknown", unknown);
    this.#bar.style.setProperty("--p", `${value ?? 0}%`);
    setAttribute(this.#bar, "aria-label", `Progress of ${card.title}`);
    if (value === null) this.#bar.removeAttribute("aria-valuenow");
    else setAttribute(this.#bar, "aria-valuenow", String(value));
    setText(this.#percent, value === null ? "" : `${value}%`);
  }

  #showTodos(card: Card, ended: boolean): void {
    const done = card.todos.filter((todo) => todo.status === "completed").length;
    this.#steps.hidden = card.todos.length === 0;
    setText(this.#stepsTitle, `${done} of ${card.todos.length} ${card.todos.length === 1 ? "step" : "steps"} done`);
    const wasEnded = this.#last !== null && hasEnded(this.#last.state);
    // Open while there is something to follow; afterwards it is left as the person leaves it.
    if (this.#last === null || (ended && !wasEnded)) this.#steps.open = !ended || card.state.endsWith("_error");
    if (sameTodos(this.#last, card)) return;
    this.#todos.replaceChildren(
      ...card.todos.map((todo) =>
        make(
          "li",
          { "data-status": todo.status },
          icon(TODO_ICONS[todo.status]),
          make("span", {}, todo.title),
          make("span", { class: "visually-hidden" }, ` (${TODO_WORDS[todo.status]})`),
        ),
      ),
    );
  }

  #showOutputs(card: Card): void {
    this.#outputs.hidden = card.outputs.length === 0;
    if (this.#last?.outputs.join("\n") === card.outputs.join("\n")) return;
    this.#outputs.replaceChildren(...card.outputs.map((path) => make("li", {}, icon("file"), make("code", {}, path))));
  }
}

function show(element: HTMLElement, text: string | null): void {
  element.hidden = text === null;
  setText(element, text ?? "");
}

function sameTodos(before: Card | null, after: Card): boolean {
  return before !== null && JSON.stringify(before.todos) === JSON.stringify(after.todos);
}
