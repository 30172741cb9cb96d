/** What a test in a browser can read without looking at pixels: `window.__sisyphus`. */

const MAX_EVENTS = 500;

interface Readings {
  /** Loudest root mean square of the bot's sound so far, from 0 to 1. */
  remoteLevelMax: number;
  /** From the click (or Enter) to the bot being ready, of the last call. */
  readyMs: number | null;
  /** Transport states and kinds of messages, oldest first. */
  events: string[];
}

declare global {
  interface Window {
    __sisyphus: Readings;
  }
}

export class TestHooks {
  readonly #readings: Readings = { remoteLevelMax: 0, readyMs: null, events: [] };
  #started_ms: number | null = null;

  constructor() {
    window.__sisyphus = this.#readings;
  }

  started(): void {
    this.#started_ms = performance.now();
  }

  ready(): void {
    if (this.#started_ms === null) return;
    this.#readings.readyMs = performance.now() - this.#started_ms;
    this.#started_ms = null;
  }

  note(event: string): void {
    this.#readings.events.push(event);
    if (this.#readings.events.length > MAX_EVENTS) this.#readings.events.shift();
  }

  heard(level: number): void {
    if (level > this.#readings.remoteLevelMax) this.#readings.remoteLevelMax = level;
  }
}
