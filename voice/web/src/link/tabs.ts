/**
 * One tab per session. Two tabs of one browser share the session id; without this each would take the call from the
 * other and reconnect, for ever. The tab that connects last has it.
 */

export class Tabs {
  readonly #channel: BroadcastChannel | null;

  /** @param onTaken another tab now has this session. */
  constructor(current: () => string, onTaken: () => void) {
    this.#channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("sisyphus");
    this.#channel?.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (event.data === current()) onTaken();
    });
  }

  take(session: string): void {
    this.#channel?.postMessage(session);
  }
}
