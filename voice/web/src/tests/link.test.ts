import assert from "node:assert/strict";
import { test } from "node:test";

import { reconnectDelay } from "../link/backoff.ts";
import { fromClose, fromResponse, toLinkError } from "../link/errors.ts";
import { pace } from "../link/follow.ts";
import { statusOf } from "../ui/status.ts";
import { initialView, reduce } from "../state.ts";
import { card } from "./cards.ts";
import { CallPage } from "./page.ts";

const LONG_MS = 60_000;

test("reconnects come quickly at first, then ever more slowly, and never more than ten seconds apart", () => {
  const delays = [0, 1, 2, 3, 4, 5, 50].map((failures) => reconnectDelay(failures, 0.5));
  assert.deepEqual(delays, [400, 800, 1_600, 3_200, 6_400, 8_000, 8_000]);
  for (const random of [0, 1]) assert.ok(reconnectDelay(1_000, random) <= 10_000);
});

test("the server's own sentence is what the person reads", async () => {
  const busy = await fromResponse(new Response(JSON.stringify({ title: "busy", detail: "All lines are in use." }), { status: 503 }));
  assert.deepEqual([busy.message, busy.refused], ["All lines are in use.", true]);
  const plain = await fromResponse(new Response("<html>", { status: 500 }));
  assert.match(plain.message, /status 500/);
  assert.equal(plain.refused, false);
});

test("an answer inside the transport's error is found", async () => {
  const inner = new Response("{}", { status: 401 });
  const error = await toLinkError(new Error("offer failed", { cause: inner }));
  assert.match(error.message, /access token/);
  assert.equal(error.refused, true);
});

test("without a voice the page says why and that typing works", () => {
  const view = reduce(initialView(), { type: "voice", voice: { ready: false, reason: "no models found." } });
  assert.equal(statusOf(view).hint, "Talking is not possible yet: no models found. Typing works.");
});

test("a socket that is closed with a reason says it, and one without lets the other transport be tried", () => {
  const busy = fromClose(1013, "All 4 lines are taken.");
  assert.deepEqual([busy.message, busy.refused], ["All 4 lines are taken.", true]);
  for (const broken of [fromClose(1006, ""), fromClose(1011, "oops"), fromClose(1013, "")]) assert.equal(broken.refused, false);
});

test("nobody who answers is told apart from somebody who refuses", async () => {
  assert.equal((await toLinkError(new TypeError("Failed to fetch"))).unreachable, true);
  assert.equal((await toLinkError(new Response("{}", { status: 503 }))).unreachable, false);
});

test("without a call the session is looked at often while a task runs, and seldom else", () => {
  const up = reduce(initialView(), { type: "server", server: "up" });
  const running = reduce(up, { type: "message", message: { kind: "task", seq: 1, task: card("a") } });
  const ended = reduce(running, { type: "message", message: { kind: "task", seq: 2, task: card("a", { state: "complete" }) } });
  assert.ok(pace(running) < pace(reduce(up, { type: "server", server: "down" })));
  assert.ok(pace(reduce(up, { type: "server", server: "down" })) < pace(ended));
  assert.equal(pace(ended), pace(up));
});

test("a lost connection for typing comes back although a microphone was asked for meanwhile and refused", async (t) => {
  const page = new CallPage(t);
  void page.call.say("hello");
  await page.pass();
  page.lose();
  void page.call.talk();
  await page.pass(LONG_MS);
  assert.deepEqual([page.phase, page.opened], ["asking", 1]);
  page.refuse();
  await page.pass();
  assert.equal(page.phase, "reconnecting");
  await page.pass(LONG_MS);
  assert.deepEqual([page.phase, page.opened], ["online", 2]);
});

test("a connection that is lost while the microphone is asked for is not shown as there", async (t) => {
  const page = new CallPage(t);
  void page.call.say("hello");
  await page.pass();
  void page.call.talk();
  await page.pass();
  page.lose();
  page.refuse();
  await page.pass();
  assert.equal(page.phase, "reconnecting");
  await page.pass(LONG_MS);
  assert.deepEqual([page.phase, page.opened], ["online", 2]);
});

test("without a microphone a connection for typing stays, and where there was none there is none", async (t) => {
  const page = new CallPage(t);
  for (const [before, opened] of [["idle", 0], ["online", 1]] as const) {
    void page.call.talk();
    await page.pass();
    page.refuse();
    await page.pass(LONG_MS);
    assert.deepEqual([page.phase, page.opened], [before, opened]);
    if (before === "idle") void page.call.say("hello");
    await page.pass();
  }
});

test("what is typed while the microphone is asked for is sent when it is refused", async (t) => {
  const page = new CallPage(t);
  void page.call.talk();
  void page.call.say("hello");
  await page.pass();
  assert.deepEqual([page.phase, page.sent], ["asking", []]);
  page.refuse();
  await page.pass();
  assert.deepEqual([page.phase, page.sent], ["online", [{ text: "hello" }]]);
});
