/** The microphone's level as a row of bars, the newest on the right. */
import { byId, setAttribute } from "./dom.ts";

const BARS = 28;
const TICK_MS = 60;
/** Speech at a usual distance reads about 0.1; the bars are full at this level. */
const FULL = 0.22;

const meter = byId("meter", HTMLElement);
const bars = Array.from({ length: BARS }, () => meter.appendChild(document.createElement("i")));
const heights = new Array<number>(BARS).fill(0);

/** Reads both levels regularly, for as long as the page lives; `visible` says whether the bars are worth drawing. */
export function runMeter(read: () => { local: number; visible: boolean }): void {
  setInterval(() => {
    const { local, visible } = read();
    meter.hidden = !visible;
    if (!visible || document.hidden) return;
    heights.shift();
    heights.push(Math.min(1, Math.sqrt(local / FULL)));
    bars.forEach((bar, i) => bar.style.setProperty("--h", (heights[i] ?? 0).toFixed(2)));
    setAttribute(meter, "aria-valuenow", String(Math.round((heights.at(-1) ?? 0) * 100)));
  }, TICK_MS);
}
