/**
 * What the page shows, and how each message changes it. Pure: no clock, no network, no document.
 *
 * Invariants: a message with a `seq` not above the last one seen changes nothing, a snapshot says which tasks there are
 * and how they are, and between a new connection and its snapshot live messages wait, so that none is applied to a stale
 * picture.
 */
import { hasEnded, type BotState, type Card, type Said, type ServerMessage, type Snapshot, type Voice } from "./protocol.ts";

/** Lines kept on the page; the server keeps the whole conversation. */
const MAX_LINES = 300;
/** Tasks kept on the page, as many as the server tells of. */
const MAX_TASKS = 50;
/** Messages that may wait for a snapshot. More than this within one round trip means that none will come. */
const MAX_HELD = 200;

export type Phase = "idle" | "asking" | "connecting" | "online" | "reconnecting";

export interface LinkState {
  phase: Phase;
  mode: "voice" | "text";
  transport: string | null;
  /** Why the last try to reconnect failed, in a sentence. */
  trouble: string | null;
}

/** Whether the server answers plain requests, which is what counts while there is no call. */
export type Reach = "unknown" | "up" | "down";

export interface Line {
  key: number;
  who: "user" | "bot";
  text: string;
  /** waiting: typed, not sent yet; sent: typed and sent, not yet heard back; done: the server has it. */
  delivery: "waiting" | "sent" | "done";
}

export interface Notice {
  tone: "error" | "warning" | "info";
  text: string;
  /** It is about a server that does not answer, and settled once it does. */
  untilUp?: boolean;
}

export interface View {
  link: LinkState;
  bot: BotState;
  muted: boolean;
  /** The person wants no sound from this page. */
  silent: boolean;
  server: Reach;
  voice: Voice;
  notice: Notice | null;
  tasks: readonly Card[];
  lines: readonly Line[];
  lastSeq: number;
  /** Messages waiting for the snapshot of this connection; null when none is awaited. */
  held: readonly ServerMessage[] | null;
  nextKey: number;
}

export type Action =
  | { type: "link"; link: Partial<LinkState> }
  | { type: "message"; message: ServerMessage }
  | { type: "await_snapshot" }
  | { type: "snapshot_missing" }
  | { type: "typed"; text: string }
  | { type: "sent"; text: string }
  | { type: "unsent" }
  | { type: "muted"; muted: boolean }
  | { type: "silent"; silent: boolean }
  | { type: "server"; server: Reach }
  | { type: "voice"; voice: Voice }
  | { type: "notice"; notice: Notice | null }
  | { type: "new_session" };

export function initialView(): View {
  return {
    link: { phase: "idle", mode: "voice", transport: null, trouble: null },
    bot: "listening",
    muted: false,
    silent: false,
    server: "unknown",
    voice: { ready: true, reason: null },
    notice: null,
    tasks: [],
    lines: [],
    lastSeq: -1,
    held: null,
    nextKey: 1,
  };
}

export function reduce(view: View, action: Action): View {
  switch (action.type) {
    case "link":
      return { ...view, link: { ...view.link, ...action.link } };
    case "message":
      return receive(view, action.message);
    case "await_snapshot":
      return { ...view, held: [] };
    case "snapshot_missing":
      return (view.held ?? []).reduce(apply, { ...view, held: null });
    case "typed":
      return addLine(view, "user", action.text, "waiting");
    case "sent":
      return markSent(view, action.text);
    case "unsent":
      return { ...view, lines: view.lines.filter((line) => line.delivery !== "waiting") };
    case "muted":
      return { ...view, muted: action.muted };
    case "silent":
      return { ...view, silent: action.silent };
    case "server":
      return reach(view, action.server);
    case "voice":
      return { ...view, voice: action.voice };
    case "notice":
      return { ...view, notice: action.notice };
    case "new_session":
      return { ...initialView(), voice: view.voice, server: view.server, silent: view.silent, nextKey: view.nextKey };
  }
}

function reach(view: View, server: Reach): View {
  const isSettled = server === "up" && view.notice?.untilUp === true;
  if (view.server === server && !isSettled) return view;
  return { ...view, server, notice: isSettled ? null : view.notice };
}

/** The newest on top, whatever their state: a card never moves while somebody reads it or reaches for its button. */
export function orderTasks(tasks: readonly Card[]): Card[] {
  return [...tasks].sort((a, b) => b.created_at.localeCompare(a.created_at) || a.id.localeCompare(b.id));
}

function receive(view: View, message: ServerMessage): View {
  if (message.kind === "snapshot") {
    return (view.held ?? []).reduce(apply, applySnapshot({ ...view, held: null }, message));
  }
  if (view.held === null) return apply(view, message);
  if (view.held.length < MAX_HELD) return { ...view, held: [...view.held, message] };
  return [...view.held, message].reduce(apply, { ...view, held: null });
}

function apply(view: View, message: ServerMessage): View {
  if (message.kind === "snapshot") return applySnapshot(view, message);
  if (message.seq <= view.lastSeq) return view;
  const next = { ...view, lastSeq: message.seq };
  switch (message.kind) {
    case "task":
      return { ...next, tasks: upsert(view.tasks, message.task) };
    case "state":
      return { ...next, bot: message.state };
    case "heard":
      return hear(next, message.text);
    case "say":
      return addLine(next, "bot", message.text, "done");
  }
}

function applySnapshot(view: View, snapshot: Snapshot): View {
  const said = snapshot.transcript.slice(-MAX_LINES);
  const heard = new Set(said.filter((line) => line.who === "user").map((line) => plain(line.text)));
  const unheard = view.lines.filter(
    (line) => line.delivery === "waiting" || (line.delivery === "sent" && !heard.has(plain(line.text))),
  );
  const lines = continueLines(view, said);
  return {
    ...view,
    bot: snapshot.state,
    voice: snapshot.voice,
    tasks: continueTasks(view.tasks, snapshot),
    lines: [...lines, ...unheard].slice(-MAX_LINES),
    lastSeq: snapshot.seq,
    nextKey: view.nextKey + said.length,
  };
}

/** Cards that did not fit into the snapshot stay as they are until they follow. */
function continueTasks(known: readonly Card[], snapshot: Snapshot): Card[] {
  const cards = new Map([...known, ...snapshot.tasks].map((task) => [task.id, task]));
  return snapshot.task_ids.flatMap((id) => cards.get(id) ?? []);
}

/**
 * Lines that are shown already keep their keys, which spares a screen reader from hearing the conversation again; those
 * that are older than what the snapshot holds stay.
 */
function continueLines(view: View, said: readonly Said[]): Line[] {
  const shown = view.lines.filter((line) => line.delivery !== "waiting");
  const start = shown.findIndex((_, i) =>
    shown.slice(i).every((line, j) => line.who === said[j]?.who && plain(line.text) === plain(said[j].text)),
  );
  const known = start === -1 ? [] : shown.slice(start);
  const older = start === -1 ? [] : shown.slice(0, start);
  return [...older, ...said.map((line, i): Line => ({ ...line, key: known[i]?.key ?? view.nextKey + i, delivery: "done" }))];
}

function upsert(tasks: readonly Card[], task: Card): readonly Card[] {
  if (tasks.some((known) => known.id === task.id)) return tasks.map((known) => (known.id === task.id ? task : known));
  if (tasks.length < MAX_TASKS) return [...tasks, task];
  const gone = tasks.find((known) => hasEnded(known.state)) ?? tasks[0];
  return [...tasks.filter((known) => known !== gone), task];
}

/** What was typed is already on the page; hearing it back settles that line instead of repeating it. */
function hear(view: View, text: string): View {
  const own = view.lines.find((line) => line.delivery === "sent" && plain(line.text) === plain(text));
  if (!own) return addLine(view, "user", text, "done");
  return { ...view, lines: view.lines.map((line) => (line === own ? { ...line, delivery: "done" } : line)) };
}

function markSent(view: View, text: string): View {
  const own = view.lines.find((line) => line.delivery === "waiting" && line.text === text);
  if (!own) return view;
  return { ...view, lines: view.lines.map((line) => (line === own ? { ...line, delivery: "sent" } : line)) };
}

function addLine(view: View, who: Line["who"], text: string, delivery: Line["delivery"]): View {
  const line: Line = { key: view.nextKey, who, text, delivery };
  return { ...view, lines: [...view.lines, line].slice(-MAX_LINES), nextKey: view.nextKey + 1 };
}

function plain(text: string): string {
  return text.trim().toLowerCase().replace(/\s+/g, " ").replace(/[.!?]+$/, "");
}
