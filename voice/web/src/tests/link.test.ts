import assert from "node:assert/strict";
import { test } from "node:test";

import { reconnectDelay } from "../link/backoff.ts";
import { fromResponse, toLinkError } from "../link/errors.ts";
import { statusOf } from "../ui/status.ts";
import { initialView, reduce } from "../state.ts";

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
