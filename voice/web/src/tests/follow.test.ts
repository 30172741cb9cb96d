import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { Follower } from "../link/follow.ts";
import type { View } from "../state.ts";
import { Store } from "../store.ts";
import { card } from "./cards.ts";
import { give, identity, settle } from "./page.ts";

const LONG_MS = 60_000;

/** A page that looks at its session; the test says what each look is answered. */
function follow(t: TestContext, answers: (() => Response)[], renderer: (view: View) => void = () => undefined): Store {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  give(t, "document", { baseURI: "http://localhost/", hidden: false, addEventListener: () => undefined });
  give(t, "addEventListener", () => undefined);
  give(t, "fetch", async () => (answers.shift() ?? snapshot)());
  const store = new Store();
  store.subscribe(renderer);
  new Follower(store, identity).wake();
  return store;
}

function snapshot(): Response {
  const tasks = [card("a")];
  return Response.json({ kind: "snapshot", seq: 1, session: "mine", state: "listening", tasks, task_ids: ["a"], transcript: [] });
}

function unreachable(): Response {
  throw new TypeError("Failed to fetch");
}

test("the page looks again although it could not show that the server is away", async (t) => {
  const reported: unknown[] = [];
  give(t, "reportError", (error: unknown) => reported.push(error));
  const failure = new Error("cannot be shown");
  const store = follow(t, [unreachable], (view) => {
    if (view.server === "down") throw failure;
  });
  await settle();
  assert.deepEqual(reported, [failure]);
  t.mock.timers.tick(LONG_MS);
  await settle();
  assert.deepEqual([store.view.server, store.view.tasks.length], ["up", 1]);
});

test("what cannot be shown is no reason to say that nobody answers", async (t) => {
  const reported: unknown[] = [];
  give(t, "reportError", (error: unknown) => reported.push(error));
  const failure = new Error("cannot be shown");
  const store = follow(t, [], (view) => {
    if (view.tasks.length > 0) throw failure;
  });
  await settle();
  assert.equal(store.view.server, "up");
  assert.deepEqual(reported, [failure]);
});

test("an answer that is not what a page is told is said to be that, and not that nobody answers", async (t) => {
  const page = (): Response => new Response("<html>another program</html>");
  const json = (): Response => Response.json({ detail: "hello" });
  const store = follow(t, [page, json]);
  await settle();
  assert.equal(store.view.server, "up");
  assert.match(store.view.notice?.text ?? "", /not what this page expects/);
  store.dispatch({ type: "notice", notice: null });
  t.mock.timers.tick(LONG_MS);
  await settle();
  assert.equal(store.view.notice, null, "said once");
  t.mock.timers.tick(LONG_MS);
  await settle();
  assert.equal(store.view.tasks.length, 1);
});

test("a server that nobody can reach is down, and up once it answers", async (t) => {
  const store = follow(t, [unreachable]);
  await settle();
  assert.equal(store.view.server, "down");
  t.mock.timers.tick(LONG_MS);
  await settle();
  assert.equal(store.view.server, "up");
});
