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

const UNEXPECTED =
  "The server's answer is not what this page expects. Reload the page; if that does not help, see what answers at its address.";

/** @returns how long to wait before the next look. */
export function pace(view: View): number {
  if (view.server === "down" || !view.voice.ready) return SOON_MS;
  return view.tasks.every((task) => hasEnded(task.state)) ? QUIET_MS : RUNNING_MS;
}

/** @returns what the text holds, null where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
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
    let isSeen = false;
    try {
      do {
        this.#isStale = false;
        isSeen = await this.#look();
      } while (this.#isStale);
    } catch (error) {
      // What the page cannot show is a defect of the page, for the console; the next look may bring what it can.
      reportError(error);
    } finally {
      this.#isLooking = false;
      this.#timer = setTimeout(() => void this.#run(), isSeen ? pace(this.#store.view) : SOON_MS);
    }
  }

  /** @returns whether the server told how the session is. */
  async #look(): Promise<boolean> {
    const { session } = this.#identity;
    let answer: string;
    try {
      answer = await fetchSession(this.#identity);
    } catch (error) {
      if (error instanceof Response) await this.#refuse(error);
      else this.#store.dispatch({ type: "server", server: "down" });
      return false;
    }
    if (this.#store.view.link.phase !== "idle" || this.#identity.session !== session) return true;
    return this.#show(answer);
  }

  /** @returns whether it was a snapshot. */
  #show(answer: string): boolean {
    this.#store.dispatch({ type: "server", server: "up" });
    if (answer !== this.#shown) {
      const message = parseServerMessage(parsed(answer));
      if (message?.kind !== "snapshot") {
        this.#complain(UNEXPECTED);
        return false;
      }
      this.#store.dispatch({ type: "message", message });
      this.#shown = answer;
    }
    this.#refusal = "";
    return true;
  }

  async #refuse(response: Response): Promise<void> {
    // A server that is only just starting knows no more about the session than the page does.
    if (response.status === 503) return;
    this.#store.dispatch({ type: "server", server: "up" });
    this.#complain((await fromResponse(response)).message);
  }

  /** Says it once, until the server has told how the session is. */
  #complain(text: string): void {
    if (text === this.#refusal) return;
    this.#refusal = text;
    this.#store.dispatch({ type: "notice", notice: { tone: "error", text } });
  }
}
