/**
 * The call as the person sees it: talk, type, mute, hang up; over whichever transport works, and again after a loss.
 *
 * Every start and every end begins a new round; what belongs to an older round is dropped when it comes back late.
 */
import { fetchConfig } from "../api.ts";
import type { TestHooks } from "../hooks.ts";
import { Microphone, MicrophoneError } from "../media/microphone.ts";
import type { Sound } from "../media/sound.ts";
import { hasEnded, parseServerMessage } from "../protocol.ts";
import type { Identity } from "../session.ts";
import type { LinkState, Notice } from "../state.ts";
import type { Store } from "../store.ts";
import { reconnectDelay } from "./backoff.ts";
import { toLinkError } from "./errors.ts";
import type { Link, LinkEvents } from "./link.ts";
import { pause } from "./pause.ts";
import type { openAny, Route } from "./route.ts";

/** Silence after which a connection for typing is let go. */
const REST_MS = 90_000;

export interface CallParts {
  store: Store;
  identity: Identity;
  sound: Sound;
  hooks: TestHooks;
  /** How a connection is opened. */
  open: typeof openAny;
  /** From `?transport=` in the address. */
  forced: string | null;
  /** Takes back what was typed and could not be sent. */
  onUnsent(texts: string[]): void;
  /** A connection of this session stands in this tab. */
  onOpened(): void;
}

export class Call {
  readonly #parts: CallParts;
  readonly #route: Route;
  #round = new AbortController();
  #link: Link | null = null;
  #microphone: Microphone | null = null;
  #waiting: string[] = [];
  #resting: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.#route = { identity: parts.identity, sound: parts.sound, forced: parts.forced, voiceOverSocket: false };
  }

  /** To be called inside a click or key press: opens the microphone, then the call. */
  async talk(): Promise<void> {
    this.#parts.sound.unlock();
    this.#parts.hooks.started();
    const before = this.#parts.store.view.link;
    const asking = this.#newRound();
    this.#show({ phase: "asking", mode: "voice" });
    const problem = await this.#openMicrophone(asking);
    if (asking.aborted) return;
    this.#notice("warning", problem);
    if (problem !== null) return this.#goOnTyping(before);
    const signal = this.#newRound();
    await this.#dropLink();
    await this.#connect(signal);
  }

  /** Sends what was typed; opens a connection without microphone first where there is none. */
  async say(text: string): Promise<void> {
    this.#parts.sound.unlock();
    this.#parts.store.dispatch({ type: "typed", text });
    this.#waiting.push(text);
    if (this.#link) {
      this.#rest();
      return this.#sendWaiting(this.#link);
    }
    if (this.#parts.store.view.link.phase !== "idle") return;
    this.#parts.hooks.started();
    this.#notice("warning", null);
    await this.#connect(this.#newRound());
  }

  setMuted(muted: boolean): void {
    this.#microphone?.setMuted(muted);
    this.#link?.setMuted(muted);
    this.#parts.store.dispatch({ type: "muted", muted });
  }

  async hangUp(): Promise<void> {
    this.#newRound();
    const unsent = this.#waiting.splice(0);
    this.#useMicrophone(null);
    this.#show({ phase: "idle", mode: "voice", transport: null, trouble: null });
    this.#parts.store.dispatch({ type: "unsent" });
    if (unsent.length > 0) this.#parts.onUnsent(unsent);
    await this.#dropLink();
  }

  /** For a page that goes away, where nothing can be awaited. */
  leave(): void {
    if (this.#parts.store.view.link.phase !== "idle") void this.hangUp();
  }

  /** @returns null when it is open, else the sentence that says why not. */
  async #openMicrophone(signal: AbortSignal): Promise<string | null> {
    try {
      const microphone = await Microphone.open(() => this.#microphoneGone());
      if (signal.aborted) microphone.close();
      else this.#useMicrophone(microphone);
      return null;
    } catch (error) {
      if (error instanceof MicrophoneError) return error.message;
      throw error;
    }
  }

  /**
   * Goes on as before the microphone was asked for: without one there is nothing that typing could not do.
   *
   * @param before how it was then; asking ended the round, and with it every try to connect.
   */
  async #goOnTyping(before: LinkState): Promise<void> {
    // A connection that was lost since comes back by itself, or already has.
    if (this.#parts.store.view.link.phase !== "asking") return;
    if (this.#link !== null) return this.#show(before);
    if (before.phase === "reconnecting") return this.#reconnect();
    this.#show({ phase: "idle", mode: "voice", transport: null, trouble: null });
    if (this.#waiting.length > 0) await this.#connect(this.#round.signal);
  }

  async #connect(signal: AbortSignal): Promise<void> {
    this.#show({ phase: "connecting", mode: this.#mode() });
    try {
      await this.#open(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#parts.hooks.note("failed");
      const { message, unreachable } = await toLinkError(error);
      const wasTyped = this.#waiting.length > 0;
      await this.hangUp();
      const text = wasTyped ? `${message} What you typed is in the text box again.` : message;
      this.#parts.store.dispatch({ type: "notice", notice: { tone: "error", text, untilUp: unreachable } });
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { link, kind } = await this.#parts.open(this.#route, this.#microphone, signal, this.#events());
    if (signal.aborted) return link.close();
    this.#link = link;
    // After a fallback there is no reason to wait for the other transport on every reconnect.
    if (this.#microphone !== null) this.#route.voiceOverSocket = kind === "websocket";
    this.#parts.hooks.note(`transport:${kind}`);
    this.#show({ phase: "online", mode: this.#mode(), transport: kind, trouble: null });
    this.#rest();
    this.#parts.onOpened();
    this.#sendWaiting(link);
    await this.#catchUp(link);
  }

  async #catchUp(link: Link): Promise<void> {
    try {
      const snapshot = parseServerMessage(await link.request("snapshot", {}));
      if (this.#link === link && snapshot?.kind === "snapshot") return this.#receive(snapshot);
    } catch {
      // No answer in time: what arrives live is then shown as it is.
    }
    if (this.#link === link) this.#parts.store.dispatch({ type: "snapshot_missing" });
  }

  #events(): LinkEvents {
    return {
      onProgress: (state) => {
        this.#parts.hooks.note(state);
        if (state === "connected") this.#parts.store.dispatch({ type: "await_snapshot" });
        if (state === "bot-ready") this.#parts.hooks.ready();
      },
      onMessage: (data) => this.#receive(data),
      onBotTrack: (track) =>
        this.#parts.sound.playTrack(track, () =>
          this.#notice("info", "The browser keeps this page silent. Click anywhere to hear the answers."),
        ),
      onLost: () => void this.#reconnect(),
      onServerError: (sentence) => this.#notice("error", sentence),
    };
  }

  #receive(data: unknown): void {
    const message = parseServerMessage(data);
    if (!message) return;
    this.#parts.hooks.note(message.kind);
    this.#parts.store.dispatch({ type: "message", message });
    this.#rest();
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#round;
    this.#link = null;
    this.#parts.sound.silence();
    this.#parts.hooks.note("reconnecting");
    this.#show({ phase: "reconnecting", mode: this.#mode(), transport: null });
    for (let failures = 0; !signal.aborted; failures++) {
      await pause(reconnectDelay(failures, Math.random()), signal);
      if (signal.aborted) return;
      try {
        // A plain request fails at once while the server is away; a transport would take seconds to find out.
        await fetchConfig(this.#parts.identity);
        return await this.#open(signal);
      } catch (error) {
        // The page says why and tries again, until it works or the person hangs up.
        const { message, refused } = await toLinkError(error);
        if (!signal.aborted) this.#show({ trouble: refused ? message : null });
      }
    }
  }

  /**
   * Lets a connection for typing go once nothing happens on it: it holds one of the server's few lines, and the next
   * typed request opens one again. While tasks run it stays, so that their milestones are spoken.
   */
  #rest(): void {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      const { link, tasks } = this.#parts.store.view;
      if (link.phase !== "online" || link.mode !== "text") return;
      if (tasks.every((task) => hasEnded(task.state))) void this.hangUp();
      else this.#rest();
    }, REST_MS);
  }

  #sendWaiting(link: Link): void {
    for (const text of this.#waiting.splice(0)) {
      link.send("say", { text });
      this.#parts.store.dispatch({ type: "sent", text });
    }
  }

  #useMicrophone(microphone: Microphone | null): void {
    this.#microphone?.close();
    this.#microphone = microphone;
    this.#parts.sound.listenTo(microphone?.stream ?? null);
    this.#parts.store.dispatch({ type: "muted", muted: false });
  }

  #microphoneGone(): void {
    this.#useMicrophone(null);
    this.#show({ mode: "text" });
    this.#notice("warning", "The microphone went away. You can still type, or start talking again.");
  }

  async #dropLink(): Promise<void> {
    const link = this.#link;
    this.#link = null;
    this.#parts.sound.silence();
    await link?.close();
  }

  #newRound(): AbortSignal {
    this.#round.abort();
    this.#round = new AbortController();
    return this.#round.signal;
  }

  #mode(): LinkState["mode"] {
    return this.#microphone === null ? "text" : "voice";
  }

  #show(link: Partial<LinkState>): void {
    this.#parts.store.dispatch({ type: "link", link });
  }

  #notice(tone: Notice["tone"], text: string | null): void {
    this.#parts.store.dispatch({ type: "notice", notice: text === null ? null : { tone, text } });
  }
}
