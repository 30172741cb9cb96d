import assert from "node:assert/strict";
import { test } from "node:test";

import { parseCard, parseConfig, parseServerMessage } from "../protocol.ts";

test("what is not one of our messages is dropped", () => {
  const strangers = [null, 1, "x", [], {}, { kind: "task" }, { kind: "task", seq: 1, task: {} }, { kind: "noise", seq: 1 }];
  for (const raw of [...strangers, { kind: "say", seq: "1", text: "a" }, { kind: "heard", seq: 1, text: 5 }, { seq: NaN, kind: "state" }]) {
    assert.equal(parseServerMessage(raw), null, JSON.stringify(raw));
  }
});

test("a card with only an id gets an empty value for everything else", () => {
  assert.deepEqual(parseCard({ id: "t1" }), {
    id: "t1",
    name: "",
    title: "Task",
    state: "queued",
    progress: null,
    line: null,
    result: null,
    error: null,
    detail: null,
    outputs: [],
    output_count: 0,
    todos: [],
    todo_count: 0,
    todo_done: 0,
    created_at: "",
  });
});

test("progress is a whole number from 0 to 100, or unknown", () => {
  const progress = (value: unknown): unknown => parseCard({ id: "t", progress: value })?.progress;
  assert.deepEqual([-5, 12.4, 250, NaN, "50", null].map(progress), [0, 12, 100, null, null, null]);
});

test("unknown words for a state fall back to the first one instead of breaking the page", () => {
  const parsed = parseCard({ id: "t", state: "exploded", todos: [{ title: "a", status: "?" }, null], outputs: [{ path: "x", bytes: -1 }, 3] });
  assert.equal(parsed?.state, "queued");
  assert.deepEqual(parsed.todos, [{ title: "a", status: "pending" }]);
  assert.deepEqual(parsed.outputs, [{ path: "x", bytes: 0 }]);
});

test("counts that are not told are those of what was sent", () => {
  const todos = [{ title: "a", status: "completed" }, { title: "b", status: "pending" }];
  const parsed = parseCard({ id: "t", todos, outputs: [{ path: "x", bytes: 1 }] });
  assert.deepEqual([parsed?.todo_count, parsed?.todo_done, parsed?.output_count], [2, 1, 1]);
  const told = parseCard({ id: "t", todos, todo_count: 60, todo_done: 30, output_count: 14 });
  assert.deepEqual([told?.todo_count, told?.todo_done, told?.output_count], [60, 30, 14]);
});

test("templates without an example cannot be chosen and are left out", () => {
  const config = parseConfig({ version: "1", templates: [{ name: "a", example: "do a" }, { name: "b" }], voice: { ready: false, reason: "r" } });
  assert.deepEqual(config.templates.map((template) => template.name), ["a"]);
  assert.deepEqual(config.voice, { ready: false, reason: "r" });
});
