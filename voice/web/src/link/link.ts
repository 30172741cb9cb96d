/**
 * One connection, from the offer to its end: opened within a deadline or not at all, lost at most once.
 */
import { LogLevel, PipecatClient } from "@pipecat-ai/client-js";

import { LinkError } from "./errors.ts";
import type { Prepared } from "./transports.ts";

export interface LinkEvents {
  /** A transport's state, or `bot-ready`. */
  onProgress(state: string): void;
  onMessage(data: unknown): void;
  onBotTrack(track: MediaStreamTrack): void;
  /** The connection was there and is gone, and it was not us who closed it. */
  onLost(): void;
  /** The server reported an error and keeps the call. */
  onServerError(sentence: string): void;
}

export interface Deadlines {
  /** Until the transport itself is connected. */
  connect_ms: number;
  /** Until the bot is ready. */
  ready_ms: number;
}

const REQUEST_TIMEOUT_MS = 5_000;
/** A transport that hangs while it closes must not keep the page from opening the next one. */
const CLOSE_TIMEOUT_MS = 700;

function after(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });
}

export class Link {
  readonly #client: PipecatClient;
  readonly #events: LinkEvents;
  #stage: "opening" | "open" | "ended" = "opening";
  #connected = false;

  private constructor(prepared: Prepared, withMicrophone: boolean, events: LinkEvents) {
    this.#events = events;
    this.#client = new PipecatClient({
      transport: prepared.transport,
      enableMic: withMicrophone,
      enableCam: false,
      callbacks: {
        onTransportStateChanged: (state) => {
          if (state === "connected") this.#connected = true;
          events.onProgress(state);
        },
        onBotReady: () => {
          if (this.#stage !== "ended") events.onProgress("bot-ready");
        },
        onServerMessage: (data: unknown) => this.#receive(data),
        onTrackStarted: (track, participant) => {
          if (track.kind === "audio" && !participant?.local) events.onBotTrack(track);
        },
        onDisconnected: () => this.#lose(),
        onError: (message) => this.#report(message.data),
      },
    });
    this.#client.setLogLevel(LogLevel.ERROR);
  }

  /** @throws LinkError, or what the transport threw; nothing is left open then. */
  static async open(
    prepared: Prepared,
    withMicrophone: boolean,
    deadlines: Deadlines,
    signal: AbortSignal,
    events: LinkEvents,
  ): Promise<Link> {
    const link = new Link(prepared, withMicrophone, events);
    const settled = new AbortController();
    try {
      await Promise.race([
        link.#client.connect(prepared.params),
        prepared.closed,
        link.#expire(deadlines, settled.signal),
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new LinkError("The call was stopped.")), { once: true });
        }),
      ]);
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      settled.abort();
    }
    link.#stage = "open";
    prepared.watch(() => link.#lose());
    return link;
  }

  async request(type: string, data: object): Promise<unknown> {
    return this.#client.sendClientRequest(type, data, REQUEST_TIMEOUT_MS);
  }

  send(type: string, data: object): void {
    this.#client.sendClientMessage(type, data);
  }

  setMuted(muted: boolean): void {
    this.#client.enableMic(!muted);
  }

  /** Idempotent; nothing is reported once it was called. */
  async close(): Promise<void> {
    this.#stage = "ended";
    await Promise.race([
      this.#client.disconnect().catch(() => undefined),
      new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS)),
    ]);
  }

  async #expire(deadlines: Deadlines, settled: AbortSignal): Promise<never> {
    await after(deadlines.connect_ms, settled);
    if (!this.#connected) throw new LinkError("No connection to the server came about in time.");
    await after(Math.max(0, deadlines.ready_ms - deadlines.connect_ms), settled);
    throw new LinkError("The server took the call but did not get ready in time. Please try again.", { refused: true });
  }

  #receive(data: unknown): void {
    if (this.#stage !== "ended") this.#events.onMessage(data);
  }

  #lose(): void {
    if (this.#stage !== "open") return;
    void this.close();
    this.#events.onLost();
  }

  #report(data: unknown): void {
    if (this.#stage !== "open") return;
    const { message, error, fatal } = (data ?? {}) as Record<string, unknown>;
    const sentence = typeof message === "string" ? message : typeof error === "string" ? error : null;
    if (fatal !== true && sentence !== null) this.#events.onServerError(sentence);
  }
}
