/** How long to wait before the next try to reconnect. Pure. */

const FIRST_MS = 400;
const LONGEST_MS = 8_000;
/** Spread, so that many pages do not all come back in the same instant after a restart. */
const JITTER = 0.25;

/** @param failures tries that failed since the connection was lost; @param random from 0 to 1. */
export function reconnectDelay(failures: number, random: number): number {
  const delay = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
  return Math.round(delay * (1 - JITTER + 2 * JITTER * random));
}
