import assert from "node:assert/strict";
import { test } from "node:test";

import type { Todo } from "../protocol.ts";
import { initialView, reduce } from "../state.ts";
import { statusOf } from "../ui/status.ts";
import { endSentence, fileName, progressLine, sizeOf, stepLine, timeOf } from "../ui/words.ts";
import { card } from "./cards.ts";

const todos: Todo[] = [
  { title: "fetch report.txt", status: "completed" },
  { title: "auditing", status: "in_progress" },
  { title: "store verdict.txt", status: "pending" },
];

test("the step line says where a task is, and where one that failed stopped", () => {
  assert.equal(stepLine(card("a", { todos })), "Step 2 of 3: auditing");
  assert.equal(stepLine(card("a", { todos: todos.slice(0, 1) })), "1 of 1 step done");
  assert.equal(stepLine(card("a", { todos, state: "complete" })), "3 steps");
  const failed = todos.map((todo): Todo => ({ ...todo, status: todo.title === "auditing" ? "failed" : todo.status }));
  assert.equal(stepLine(card("a", { todos: failed, state: "executor_error" })), "Stopped at step 2 of 3: auditing");
  assert.equal(stepLine(card("a", { todos, state: "canceled" })), "1 of 3 steps done");
  assert.equal(stepLine(card("a", { todos: [], todo_count: 40, todo_done: 30 })), "30 of 40 steps done");
});

test("a task that has said nothing yet is spoken for until it ends", () => {
  assert.equal(progressLine(card("a", { line: "half way" })), "half way");
  assert.equal(progressLine(card("a", { state: "queued" })), "Waiting for a free node");
  for (const state of ["complete", "executor_error", "canceled"] as const) assert.equal(progressLine(card("a", { state })), null);
});

test("the end of a task is told with its result or its reason", () => {
  assert.equal(endSentence(card("a", { state: "complete", result: "358" })), "Count words: complete. 358");
  assert.equal(endSentence(card("a", { state: "system_error", error: "It ran out of memory." })), "Count words: failed. It ran out of memory.");
  assert.equal(endSentence(card("a", { state: "complete" })), "Count words: complete.");
});

test("sizes are short and never more exact than they are useful", () => {
  const sizes = [0, 999, 1_000, 1_550, 99_400, 120_000, 2_147_483_648, 9e15];
  assert.deepEqual(sizes.map(sizeOf), ["0 B", "999 B", "1.0 kB", "1.6 kB", "99.4 kB", "120 kB", "2.1 GB", "9000 TB"]);
});

test("a file is called by the last part of its path", () => {
  const paths = ["sisyphus:results/a/count.txt", "sisyphus:count.txt", "s3://bucket/deep/folder/", "plain", ":"];
  assert.deepEqual(paths.map(fileName), ["count.txt", "count.txt", "folder/", "plain", ":"]);
});

test("the time of a task has a date only where it was not today", () => {
  const now = new Date(2026, 10, 26, 12, 0);
  assert.equal(timeOf(new Date(2026, 10, 26, 9, 5).toISOString(), now), "09:05");
  assert.match(timeOf(new Date(2026, 10, 25, 23, 59).toISOString(), now), /^25 Nov\b.*23:59$/);
  assert.equal(timeOf("", now), "");
});

test("without a call the page says whether the server is there", () => {
  const view = initialView();
  assert.equal(statusOf(view).connection, "Not in a call");
  assert.equal(statusOf(reduce(view, { type: "server", server: "down" })).state, "The server does not answer");
});

test("a reconnect that the server refuses says why", () => {
  const lost = reduce(initialView(), { type: "link", link: { phase: "reconnecting" } });
  assert.match(statusOf(lost).hint, /tried again/);
  const refused = reduce(lost, { type: "link", link: { trouble: "All 4 lines are taken." } });
  assert.equal(statusOf(refused).hint, "All 4 lines are taken.");
});
