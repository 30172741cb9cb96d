import assert from "node:assert/strict";
import { test } from "node:test";

import { parseServerMessage, type ServerMessage } from "../protocol.ts";
import { initialView, orderTasks, reduce, type Action, type View } from "../state.ts";
import { card } from "./cards.ts";

function snapshot(seq: number, fields: object = {}): ServerMessage {
  const parsed = parseServerMessage({ kind: "snapshot", seq, session: "s", state: "listening", ...fields });
  assert.ok(parsed);
  return parsed;
}

function play(view: View, ...actions: (Action | ServerMessage)[]): View {
  return actions.reduce<View>(
    (state, action) => reduce(state, "kind" in action ? { type: "message", message: action } : action),
    view,
  );
}

const texts = (view: View): string[] => view.lines.map((line) => `${line.who}: ${line.text}`);

test("a message whose seq is not above the last one changes nothing", () => {
  const view = play(initialView(), { kind: "task", seq: 5, task: card("a", { progress: 50 }) });
  assert.equal(play(view, { kind: "task", seq: 5, task: card("a", { progress: 10 }) }), view);
  assert.equal(play(view, { kind: "say", seq: 4, text: "late", task: null }), view);
  assert.equal(view.tasks[0]?.progress, 50);
});

test("a snapshot replaces tasks and lines that it does not know and sets the seq, whichever seq it has", () => {
  const view = play(
    initialView(),
    { kind: "task", seq: 90, task: card("old") },
    { kind: "say", seq: 91, text: "before the restart", task: null },
    snapshot(3, { tasks: [card("new")], transcript: [{ who: "bot", text: "hello" }], state: "thinking" }),
  );
  assert.deepEqual(view.tasks.map((task) => task.id), ["new"]);
  assert.deepEqual(texts(view), ["bot: hello"]);
  assert.equal(view.bot, "thinking");
  assert.equal(view.lastSeq, 3);
  assert.equal(play(view, { kind: "state", seq: 4, state: "speaking" }).bot, "speaking");
});

test("messages that come before the snapshot of a connection wait for it and are then applied by seq", () => {
  const waiting = play(
    initialView(),
    { type: "await_snapshot" },
    { kind: "task", seq: 4, task: card("a", { progress: 40 }) },
    { kind: "task", seq: 7, task: card("a", { progress: 70 }) },
  );
  assert.deepEqual(waiting.tasks, []);
  const view = play(waiting, snapshot(6, { tasks: [card("a", { progress: 60 }), card("b")] }));
  assert.deepEqual(view.tasks.map((task) => [task.id, task.progress]), [["a", 70], ["b", 10]]);
  assert.equal(view.lastSeq, 7);
  assert.equal(view.held, null);
});

test("when no snapshot comes, what waited is applied as it is", () => {
  const view = play(
    initialView(),
    { type: "await_snapshot" },
    { kind: "heard", seq: 1, text: "hello" },
    { type: "snapshot_missing" },
  );
  assert.deepEqual(texts(view), ["user: hello"]);
});

test("a server that floods before its snapshot does not fill the memory", () => {
  let view = play(initialView(), { type: "await_snapshot" });
  for (let seq = 1; seq <= 1_000; seq++) view = play(view, { kind: "state", seq, state: "thinking" });
  assert.equal(view.held, null);
  assert.equal(view.lastSeq, 1_000);
});

test("a task is updated in place and others are left alone", () => {
  const first = play(
    initialView(),
    { kind: "task", seq: 1, task: card("a") },
    { kind: "task", seq: 2, task: card("b") },
  );
  const view = play(first, { kind: "task", seq: 3, task: card("b", { state: "complete", progress: 100 }) });
  assert.deepEqual(view.tasks.map((task) => [task.id, task.state]), [["a", "running"], ["b", "complete"]]);
  assert.equal(view.tasks[0], first.tasks[0]);
});

test("what was typed is shown once, although the server hears it back", () => {
  const view = play(
    initialView(),
    { type: "typed", text: "Count the words." },
    { type: "sent", text: "Count the words." },
    { kind: "heard", seq: 1, text: "count the words" },
  );
  assert.deepEqual(texts(view), ["user: Count the words."]);
  assert.equal(view.lines[0]?.delivery, "done");
});

test("the same words said again are a new line", () => {
  const view = play(
    initialView(),
    { type: "typed", text: "status" },
    { type: "sent", text: "status" },
    { kind: "heard", seq: 1, text: "status" },
    { kind: "heard", seq: 2, text: "status" },
  );
  assert.equal(view.lines.length, 2);
});

test("a request that waits for a connection survives the snapshot, and one that was heard is not doubled by it", () => {
  const transcript = [{ who: "user", text: "status" }];
  const view = play(
    initialView(),
    { type: "typed", text: "status" },
    { type: "sent", text: "status" },
    { type: "typed", text: "list files" },
    snapshot(9, { transcript }),
  );
  assert.deepEqual(texts(view), ["user: status", "user: list files"]);
  assert.deepEqual(texts(play(view, { type: "unsent" })), ["user: status"]);
});

test("after a reconnect the lines that are shown already keep their keys, and only new ones are added", () => {
  const before = play(initialView(), { kind: "heard", seq: 1, text: "hi" }, { kind: "say", seq: 2, text: "yes", task: null });
  const transcript = [
    { who: "user", text: "hi" },
    { who: "bot", text: "yes" },
    { who: "bot", text: "it is done" },
  ];
  const after = play(before, snapshot(3, { transcript }));
  assert.deepEqual(texts(after), ["user: hi", "bot: yes", "bot: it is done"]);
  assert.deepEqual(after.lines.slice(0, 2).map((line) => line.key), before.lines.map((line) => line.key));
  const shortened = play(after, snapshot(4, { transcript: transcript.slice(1) }));
  assert.deepEqual(shortened.lines.map((line) => line.key), after.lines.map((line) => line.key));
});

test("a snapshot that has no room for all cards and lines takes nothing off the page", () => {
  const before = play(
    initialView(),
    snapshot(1, {
      tasks: ["old", "gone", "new"].map((id) => card(id)),
      transcript: ["one", "two", "three"].map((text) => ({ who: "bot", text })),
    }),
  );
  const small = snapshot(2, {
    task_ids: ["old", "new", "newest"],
    tasks: [card("new", { progress: 60 })],
    transcript: [{ who: "bot", text: "three" }, { who: "bot", text: "four" }],
  });
  const view = play(before, small);
  assert.deepEqual(view.tasks.map((task) => [task.id, task.progress]), [["old", 10], ["new", 60]]);
  assert.deepEqual(texts(view), ["bot: one", "bot: two", "bot: three", "bot: four"]);
  const all = play(view, { kind: "task", seq: 3, task: card("newest") });
  assert.deepEqual(all.tasks.map((task) => task.id), ["old", "new", "newest"]);
});

test("as many tasks are kept as the server tells of, and one that still runs is not let go for one that ended", () => {
  let view = play(initialView(), { kind: "task", seq: 1, task: card("first") });
  for (let seq = 2; seq <= 120; seq++) view = play(view, { kind: "task", seq, task: card(`t${seq}`, { state: "complete" }) });
  assert.equal(view.tasks.length, 50);
  assert.deepEqual([view.tasks[0]?.id, view.tasks.at(-1)?.id], ["first", "t120"]);
});

test("what is said about a server that does not answer goes away once it does, and nothing else does", () => {
  const down: Action = { type: "server", server: "down" };
  const up: Action = { type: "server", server: "up" };
  const gone: Action = { type: "notice", notice: { tone: "error", text: "not reachable", untilUp: true } };
  assert.equal(play(initialView(), down, gone, up).notice, null);
  assert.equal(play(initialView(), up, gone, up).notice, null);
  const other: Action = { type: "notice", notice: { tone: "warning", text: "no microphone" } };
  assert.equal(play(initialView(), down, other, up).notice?.text, "no microphone");
});

test("the transcript keeps the last 300 lines with distinct keys", () => {
  let view = initialView();
  for (let seq = 1; seq <= 400; seq++) view = play(view, { kind: "say", seq, text: `line ${seq}`, task: null });
  assert.equal(view.lines.length, 300);
  assert.equal(view.lines[0]?.text, "line 101");
  assert.equal(new Set(view.lines.map((line) => line.key)).size, 300);
});

test("a new session forgets tasks and lines but not whether there is a voice", () => {
  const voice = { ready: false, reason: "no models" };
  const view = play(
    initialView(),
    { type: "voice", voice },
    { kind: "task", seq: 8, task: card("a") },
    { type: "new_session" },
  );
  assert.deepEqual([view.tasks, view.lines, view.lastSeq, view.voice], [[], [], -1, voice]);
});

test("the newest task is on top, and none moves when it ends", () => {
  const at = (hour: number): string => `2026-01-01T0${hour}:00:00Z`;
  const tasks = [card("a", { created_at: at(1) }), card("c", { created_at: at(3) }), card("b", { created_at: at(2) })];
  const ids = (cards: readonly { id: string }[]): string[] => cards.map((task) => task.id);
  assert.deepEqual(ids(orderTasks(tasks)), ["c", "b", "a"]);
  assert.deepEqual(ids(orderTasks(tasks.map((task) => ({ ...task, state: task.id === "c" ? "complete" : "running" })))), ["c", "b", "a"]);
});
