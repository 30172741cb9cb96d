/** The words on a task card that are put together from its fields. Pure. */
import type { Card, TaskState } from "../protocol.ts";

export const STATE_WORDS: Record<TaskState, string> = {
  queued: "Queued",
  initializing: "Starting",
  running: "Running",
  committing: "Saving results",
  retry_wait: "Will retry",
  complete: "Complete",
  executor_error: "Failed",
  system_error: "Failed",
  canceled: "Canceled",
};

/** How far the task is, in its own words or, as long as it has said nothing, in ours. */
export function progressLine(card: Card): string | null {
  if (card.line !== null || card.state === "complete") return card.line;
  const waiting: Partial<Record<TaskState, string>> = {
    queued: "Waiting for a free node",
    initializing: "Getting ready",
    running: "At work",
    committing: "Storing what came out",
    retry_wait: "Waiting for the next try",
  };
  return waiting[card.state] ?? null;
}

/** Where the task is among its steps; in one line, so that the list itself need not be opened. */
export function stepLine(card: Card): string {
  const steps = card.todo_count === 1 ? "1 step" : `${card.todo_count} steps`;
  if (card.state === "complete") return steps;
  const failed = card.state.endsWith("_error") || card.state === "canceled";
  const at = card.todos.findIndex((todo) => todo.status === (failed ? "failed" : "in_progress"));
  const todo = card.todos[at];
  if (todo === undefined) return `${card.todo_done} of ${steps} done`;
  return `${failed ? "Stopped at step" : "Step"} ${at + 1} of ${card.todo_count}: ${todo.title}`;
}

/** What a screen reader says when a task has ended: its name, how, and what came of it. */
export function endSentence(card: Card): string {
  const word = STATE_WORDS[card.state].toLowerCase();
  const outcome = card.state === "complete" ? card.result : card.error;
  return `${card.title}: ${word}.${outcome === null ? "" : ` ${outcome}`}`;
}

export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** The last part of a path; a folder keeps its slash. */
export function fileName(path: string): string {
  return /[^/:]*\/?$/.exec(path)?.[0] || path;
}

/** The time of day, with the date where it was not today. */
export function timeOf(iso: string, now: Date): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const isToday = at.toDateString() === now.toDateString();
  const day: Intl.DateTimeFormatOptions = isToday ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat("en-GB", { ...day, hour: "2-digit", minute: "2-digit" }).format(at);
}
