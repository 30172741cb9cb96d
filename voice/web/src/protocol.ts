/**
 * The messages between the page and the voice server, over RTVI.
 *
 * What arrives is `unknown` until it passes `parseServerMessage`: a message that does not fit is dropped, never half
 * applied, and missing optional fields get their empty value, so that the rest of the page needs no checks.
 */

export const TASK_STATES = [
  "queued",
  "initializing",
  "running",
  "committing",
  "retry_wait",
  "complete",
  "executor_error",
  "system_error",
  "canceled",
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const TODO_STATUSES = ["pending", "in_progress", "completed", "failed"] as const;
export type TodoStatus = (typeof TODO_STATUSES)[number];

export const BOT_STATES = ["listening", "thinking", "speaking"] as const;
export type BotState = (typeof BOT_STATES)[number];

export interface Todo {
  title: string;
  status: TodoStatus;
}

export interface Output {
  path: string;
  bytes: number;
}

export interface Card {
  id: string;
  name: string;
  title: string;
  state: TaskState;
  /** 0 to 100, or null where the task does not say. */
  progress: number | null;
  line: string | null;
  result: string | null;
  error: string | null;
  /** What a person needs to mend it, e.g. the last words of the command. */
  detail: string | null;
  /** The first ones; a place in this list is the file's number at the server. */
  outputs: Output[];
  output_count: number;
  /** The first ones. */
  todos: Todo[];
  todo_count: number;
  todo_done: number;
  created_at: string;
}

export interface Said {
  who: "user" | "bot";
  text: string;
}

export interface Voice {
  ready: boolean;
  reason: string | null;
}

export interface Snapshot {
  kind: "snapshot";
  seq: number;
  session: string;
  state: BotState;
  /** Every task of the session, oldest first; `tasks` holds those that fit, and the others follow. */
  task_ids: string[];
  tasks: Card[];
  transcript: Said[];
  voice: Voice;
}

export type ServerMessage =
  | Snapshot
  | { kind: "task"; seq: number; task: Card }
  | { kind: "state"; seq: number; state: BotState }
  | { kind: "heard"; seq: number; text: string }
  | { kind: "say"; seq: number; text: string; task: string | null };

export interface Template {
  name: string;
  title: string;
  sentence: string;
  example: string;
}

export interface Config {
  version: string;
  templates: Template[];
  voice: Voice;
  transports: string[];
}

/** States in which nothing more will happen to a task. */
const ENDED: readonly TaskState[] = ["complete", "executor_error", "system_error", "canceled"];

export function hasEnded(state: TaskState): boolean {
  return ENDED.includes(state);
}

type Fields = Record<string, unknown>;

function fieldsOf(raw: unknown): Fields | null {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw) ? (raw as Fields) : null;
}

function text(raw: unknown): string {
  return typeof raw === "string" ? raw : "";
}

function textOrNull(raw: unknown): string | null {
  return typeof raw === "string" && raw !== "" ? raw : null;
}

function list(raw: unknown): unknown[] {
  return Array.isArray(raw) ? raw : [];
}

function oneOf<T extends string>(choices: readonly T[], raw: unknown, otherwise: T): T {
  return choices.find((choice) => choice === raw) ?? otherwise;
}

function present<T>(value: T | null): value is T {
  return value !== null;
}

function parseTodo(raw: unknown): Todo | null {
  const fields = fieldsOf(raw);
  return fields && { title: text(fields["title"]), status: oneOf(TODO_STATUSES, fields["status"], "pending") };
}

function parseOutput(raw: unknown): Output | null {
  const fields = fieldsOf(raw);
  return fields && text(fields["path"]) !== "" ? { path: text(fields["path"]), bytes: count(fields["bytes"], 0) } : null;
}

function count(raw: unknown, otherwise: number): number {
  return typeof raw === "number" && Number.isFinite(raw) ? Math.max(0, Math.round(raw)) : otherwise;
}

function parseProgress(raw: unknown): number | null {
  return typeof raw === "number" && Number.isFinite(raw) ? Math.min(100, Math.max(0, Math.round(raw))) : null;
}

export function parseCard(raw: unknown): Card | null {
  const fields = fieldsOf(raw);
  if (!fields || text(fields["id"]) === "") return null;
  const outputs = list(fields["outputs"]).map(parseOutput).filter(present);
  const todos = list(fields["todos"]).map(parseTodo).filter(present);
  return {
    id: text(fields["id"]),
    name: text(fields["name"]),
    title: text(fields["title"]) || text(fields["name"]) || "Task",
    state: oneOf(TASK_STATES, fields["state"], "queued"),
    progress: parseProgress(fields["progress"]),
    line: textOrNull(fields["line"]),
    result: textOrNull(fields["result"]),
    error: textOrNull(fields["error"]),
    detail: textOrNull(fields["detail"]),
    outputs,
    output_count: count(fields["output_count"], outputs.length),
    todos,
    todo_count: count(fields["todo_count"], todos.length),
    todo_done: count(fields["todo_done"], todos.filter((todo) => todo.status === "completed").length),
    created_at: text(fields["created_at"]),
  };
}

function parseSaid(raw: unknown): Said | null {
  const fields = fieldsOf(raw);
  if (!fields || text(fields["text"]) === "") return null;
  return { who: fields["who"] === "user" ? "user" : "bot", text: text(fields["text"]) };
}

export function parseVoice(raw: unknown): Voice {
  const fields = fieldsOf(raw);
  // A server that says nothing about its voice is taken at its best: the call itself will tell.
  return { ready: fields?.["ready"] !== false, reason: textOrNull(fields?.["reason"]) };
}

function parseSnapshot(fields: Fields, seq: number): Snapshot {
  const tasks = list(fields["tasks"]).map(parseCard).filter(present);
  return {
    kind: "snapshot",
    seq,
    session: text(fields["session"]),
    state: oneOf(BOT_STATES, fields["state"], "listening"),
    task_ids: Array.isArray(fields["task_ids"]) ? fields["task_ids"].map(text) : tasks.map((task) => task.id),
    tasks,
    transcript: list(fields["transcript"]).map(parseSaid).filter(present),
    voice: parseVoice(fields["voice"]),
  };
}

/** @returns the message, or null for anything that is not one of ours. */
export function parseServerMessage(raw: unknown): ServerMessage | null {
  const fields = fieldsOf(raw);
  const seq = fields?.["seq"];
  if (!fields || typeof seq !== "number" || !Number.isFinite(seq)) return null;
  switch (fields["kind"]) {
    case "snapshot":
      return parseSnapshot(fields, seq);
    case "task": {
      const task = parseCard(fields["task"]);
      return task && { kind: "task", seq, task };
    }
    case "state":
      return { kind: "state", seq, state: oneOf(BOT_STATES, fields["state"], "listening") };
    case "heard":
      return text(fields["text"]) === "" ? null : { kind: "heard", seq, text: text(fields["text"]) };
    case "say":
      return text(fields["text"]) === ""
        ? null
        : { kind: "say", seq, text: text(fields["text"]), task: textOrNull(fields["task"]) };
    default:
      return null;
  }
}

function parseTemplate(raw: unknown): Template | null {
  const fields = fieldsOf(raw);
  if (!fields || text(fields["example"]) === "") return null;
  const name = text(fields["name"]);
  return {
    name,
    title: text(fields["title"]) || name,
    sentence: text(fields["sentence"]),
    example: text(fields["example"]),
  };
}

export function parseConfig(raw: unknown): Config {
  const fields = fieldsOf(raw) ?? {};
  return {
    version: text(fields["version"]),
    templates: list(fields["templates"]).map(parseTemplate).filter(present),
    voice: parseVoice(fields["voice"]),
    transports: list(fields["transports"]).filter((item): item is string => typeof item === "string"),
  };
}
