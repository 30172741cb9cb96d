/** One task: what it is, how far it is, what came of it. Made once and then kept up to date in place. */
import { hasEnded, type Card, type TodoStatus } from "../protocol.ts";
import { askFirst } from "./confirm.ts";
import { icon, keepFocusIn, make, setAttribute, setPath, setText } from "./dom.ts";
import { Files, type Downloads } from "./files.ts";
import { progressLine, STATE_WORDS, stepLine, timeOf } from "./words.ts";

const TODO_WORDS: Record<TodoStatus, string> = {
  pending: "to do",
  in_progress: "in progress",
  completed: "done",
  failed: "failed",
};
const TODO_ICONS: Record<TodoStatus, string> = { pending: "dot", in_progress: "dot", completed: "check", failed: "cross" };

export interface CardActions extends Downloads {
  /** @returns whether the server took it. */
  cancel(task: string): Promise<boolean>;
}

export class TaskCard {
  readonly element: HTMLLIElement;
  readonly #title = make("h3");
  readonly #badge = make("span", { class: "badge" });
  readonly #bar = make("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" });
  readonly #percent = make("span", { class: "percent", "aria-hidden": "true" });
  readonly #progress = make("div", { class: "progress" }, this.#bar, this.#percent);
  readonly #line = make("p", { class: "milestone" });
  readonly #result = make("p", { class: "result", "data-testid": "result" });
  readonly #failure = make("div", { class: "failure", "data-testid": "task-error" });
  readonly #error = make("p");
  readonly #detail = make("p", { class: "detail" });
  readonly #stepsTitle = make("span", { class: "step-line" });
  readonly #time = make("time");
  readonly #todos = make("ol", { class: "todos" });
  readonly #steps = make("details", { class: "fold" }, make("summary", {}, this.#stepsTitle, this.#time), this.#todos);
  readonly #cancel = make("button", { type: "button", class: "button small quiet", "data-testid": "cancel" }, "Cancel task");
  readonly #foot = make("div", { class: "card-foot" }, this.#cancel);
  readonly #files: Files;
  readonly #actions: CardActions;
  #last: Card | null = null;

  constructor(card: Card, actions: CardActions) {
    this.#actions = actions;
    this.#files = new Files(actions);
    this.#bar.append(make("i"));
    this.#failure.append(this.#error, this.#detail);
    this.element = make(
      "li",
      { class: "panel card", tabindex: "-1", "data-testid": "task-card", "data-task-id": card.id },
      make("div", { class: "card-head" }, this.#title, this.#badge),
      this.#progress,
      this.#line,
      this.#result,
      this.#failure,
      this.#files.element,
      this.#steps,
      this.#foot,
    );
    const question = { text: "Cancel this task?", yes: "Yes, cancel it", no: "Keep it" };
    askFirst(this.#foot, this.#cancel, question, () => void this.#askToCancel(card.id));
    this.update(card);
  }

  update(card: Card): void {
    if (card === this.#last) return;
    const ended = hasEnded(card.state);
    setAttribute(this.element, "data-state", card.state);
    setAttribute(this.element, "data-progress", card.progress === null ? "" : String(card.progress));
    setPath(this.#title, card.title);
    setAttribute(this.#title, "title", `${card.name} · ${card.id}`);
    setText(this.#badge, STATE_WORDS[card.state]);
    this.#showProgress(card, ended);
    show(this.#line, card.result === null ? progressLine(card) : null);
    show(this.#result, card.result);
    this.#showFailure(card);
    this.#files.update(card);
    this.#showTodos(card);
    keepFocusIn(this.element, () => {
      this.#foot.hidden = ended;
    });
    this.#last = card;
  }

  #showProgress(card: Card, ended: boolean): void {
    const { progress } = card;
    this.#progress.hidden = ended;
    this.#bar.classList.toggle("unknown", progress === null && card.state !== "queued");
    this.#bar.style.setProperty("--p", `${progress ?? 0}%`);
    setAttribute(this.#bar, "aria-label", `Progress of ${card.title}`);
    if (progress === null) this.#bar.removeAttribute("aria-valuenow");
    else setAttribute(this.#bar, "aria-valuenow", String(progress));
    setText(this.#percent, progress === null ? "" : `${progress}%`);
  }

  #showFailure(card: Card): void {
    this.#failure.hidden = card.error === null;
    setText(this.#error, card.error ?? "");
    show(this.#detail, card.detail);
  }

  #showTodos(card: Card): void {
    this.#steps.hidden = card.todos.length === 0;
    setPath(this.#stepsTitle, stepLine(card));
    setAttribute(this.#time, "datetime", card.created_at);
    setText(this.#time, timeOf(card.created_at, new Date()));
    if (this.#last !== null && JSON.stringify(this.#last.todos) === JSON.stringify(card.todos)) return;
    const more = card.todo_count - card.todos.length;
    this.#todos.replaceChildren(...card.todos.map(todoRow), ...(more > 0 ? [make("li", {}, `and ${more} more`)] : []));
  }

  async #askToCancel(task: string): Promise<void> {
    this.#setCanceling(true);
    if (!(await this.#actions.cancel(task))) this.#setCanceling(false);
  }

  #setCanceling(isCanceling: boolean): void {
    setText(this.#cancel, isCanceling ? "Canceling…" : "Cancel task");
    setAttribute(this.#cancel, "aria-disabled", String(isCanceling));
  }
}

function todoRow(todo: Card["todos"][number]): HTMLElement {
  const title = make("span");
  setPath(title, todo.title);
  const status = make("span", { class: "visually-hidden" }, ` (${TODO_WORDS[todo.status]})`);
  return make("li", { "data-status": todo.status }, icon(TODO_ICONS[todo.status]), title, status);
}

function show(element: HTMLElement, text: string | null): void {
  element.hidden = text === null;
  setPath(element, text ?? "");
}
