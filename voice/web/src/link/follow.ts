/**
 * Shows the session while there is no call: at once when the page opens, and then as its tasks go on.
 *
 * Asks with plain requests and so takes none of the server's lines. A call brings its own messages; what is asked for
 * before one begins and comes after is dropped.
 */
import { fetchSession } from "../api.ts";
import { hasEnded, parseServerMessage } from "../protocol.ts";
import type { Identity } from "../session.ts";
import type { View } from "../state.ts";
import type { Store } from "../store.ts";
import { fromResponse } from "./errors.ts";

const RUNNING_MS = 1_000;
/** With nothing running, only another tab or a machine that comes back changes anything. */
const QUIET_MS = 10_000;
/** The server is away, or still loads its voice. */
const SOON_MS = 3_000;

/** @returns how long to wait before the next look. */
export function pace(view: View): number {
  if (view.server === "down" || !view.voice.ready) return SOON_MS;
  return view.tasks.every((task) => hasEnded(task.state)) ? QUIET_MS : RUNNING_MS;
}

export class Follower {
  readonly #store: Store;
  readonly #identity: Identity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;
  #isStale = false;
  /** The last answer, which is not shown again while nothing changes. */
  #shown = "";
  #refusal = "";

  constructor(store: Store, identity: Identity) {
    this.#store = store;
    this.#identity = identity;
    store.subscribe((view, previous) => {
      if (view.link.phase === previous.link.phase) return;
      this.#shown = "";
      if (view.link.phase === "idle") this.wake();
    });
    document.addEventListener("visibilitychange", () => this.wake());
    for (const event of ["pageshow", "online"]) addEventListener(event, () => this.wake());
  }

  /** Looks at once: something may have changed, or the page is looked at again. */
  wake(): void {
    if (this.#isLooking) this.#isStale = true;
    else void this.#run();
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#store.view.link.phase !== "idle" || document.hidden) return;
    this.#isLooking = true;
    let isSeen: boolean;
    do {
      this.#isStale = false;
      isSeen = await this.#look();
    } while (this.#isStale);
    this.#isLooking = false;
    this.#timer = setTimeout(() => void this.#run(), isSeen ? pace(this.#store.view) : SOON_MS);
  }

  /** @returns whether the server told how the session is. */
  async #look(): Promise<boolean> {
    const { session } = this.#identity;
    try {
      const answer = await fetchSession(this.#identity);
      if (this.#store.view.link.phase === "idle" && this.#identity.session === session) this.#show(answer);
      return true;
    } catch (error) {
      if (error instanceof Response) await this.#refuse(error);
      else this.#store.dispatch({ type: "server", server: "down" });
      return false;
    }
  }

  #show(answer: string): void {
    this.#store.dispatch({ type: "server", server: "up" });
    this.#refusal = "";
    if (answer === this.#shown) return;
    const message = parseServerMessage(JSON.parse(answer));
    if (message?.kind === "snapshot") this.#store.dispatch({ type: "message", message });
    this.#shown = answer;
  }

  async #refuse(response: Response): Promise<void> {
    // A server that is only just starting knows no more about the session than the page does.
    if (response.status === 503) return;
    this.#store.dispatch({ type: "server", server: "up" });
    const { message } = await fromResponse(response);
    if (message === this.#refusal) return;
    this.#refusal = message;
    this.#store.dispatch({ type: "notice", notice: { tone: "error", text: message } });
  }
}
