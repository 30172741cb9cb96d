/** What the calling and following parts of the page need of a browser, for tests in Node. */
import type { TestContext } from "node:test";

import type { TestHooks } from "../hooks.ts";
import { Call } from "../link/call.ts";
import type { Link, LinkEvents } from "../link/link.ts";
import type { openAny } from "../link/route.ts";
import type { Sound } from "../media/sound.ts";
import type { Identity } from "../session.ts";
import { Store } from "../store.ts";

/** Stands in for a name that only browsers have, until the test ends. */
export function give(t: TestContext, name: string, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true });
  t.after(() => {
    if (before) Object.defineProperty(globalThis, name, before);
    else Reflect.deleteProperty(globalThis, name);
  });
}

/** Lets everything happen that waits for no clock. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export const identity = { session: "mine", token: null, headers: () => new Headers() } as unknown as Identity;

/** A page whose server always answers, with connections that the test loses and a microphone that it refuses. */
export class CallPage {
  readonly store = new Store();
  readonly sent: unknown[] = [];
  readonly call: Call;
  opened = 0;
  #events: LinkEvents | null = null;
  #refuse: ((error: Error) => void) | null = null;
  readonly #t: TestContext;

  constructor(t: TestContext) {
    this.#t = t;
    t.mock.timers.enable({ apis: ["setTimeout"] });
    give(t, "document", { baseURI: "http://localhost/" });
    give(t, "addEventListener", () => undefined);
    give(t, "fetch", async () => Response.json({}));
    const getUserMedia = (): Promise<never> => new Promise((_, reject) => (this.#refuse = reject));
    give(t, "navigator", { mediaDevices: { getUserMedia } });
    const nothing = (): void => undefined;
    this.call = new Call({
      store: this.store,
      identity,
      sound: { unlock: nothing, silence: nothing, listenTo: nothing } as unknown as Sound,
      hooks: { started: nothing, note: nothing, ready: nothing } as unknown as TestHooks,
      open: (async (_route, _microphone, _signal, events) => this.#open(events)) satisfies typeof openAny,
      forced: null,
      onUnsent: nothing,
      onOpened: nothing,
    });
  }

  get phase(): string {
    return this.store.view.link.phase;
  }

  lose(): void {
    this.#events?.onLost();
  }

  refuse(): void {
    this.#refuse?.(new DOMException("no", "NotAllowedError"));
  }

  /** Lets everything happen that happens within so much time. */
  async pass(ms = 0): Promise<void> {
    for (const step of [0, ms]) {
      this.#t.mock.timers.tick(step);
      await settle();
    }
  }

  #open(events: LinkEvents): { link: Link; kind: "websocket" } {
    this.opened += 1;
    this.#events = events;
    const nothing = async (): Promise<void> => undefined;
    const send = (_type: string, data: unknown): number => this.sent.push(data);
    return { link: { close: nothing, request: nothing, send } as unknown as Link, kind: "websocket" };
  }
}
