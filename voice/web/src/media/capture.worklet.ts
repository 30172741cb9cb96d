/** Runs on the audio thread: the microphone at the device's rate in, 20 ms chunks of mono PCM16 at 16 kHz out. */
import { Resampler } from "./resample.ts";

const RATE_HZ = 16_000;
const CHUNK_SAMPLES = 320;

class Capture extends AudioWorkletProcessor {
  readonly #resampler = new Resampler(sampleRate, RATE_HZ);
  #chunk = new Int16Array(CHUNK_SAMPLES);
  #filled = 0;

  process(inputs: Float32Array[][]): boolean {
    const input = inputs[0]?.[0];
    if (!input) return true;
    for (const sample of this.#resampler.push(input)) {
      this.#chunk[this.#filled++] = Math.max(-1, Math.min(1, sample)) * 0x7fff;
      if (this.#filled === CHUNK_SAMPLES) this.#post();
    }
    return true;
  }

  #post(): void {
    const { buffer } = this.#chunk;
    this.port.postMessage(buffer, [buffer]);
    this.#chunk = new Int16Array(CHUNK_SAMPLES);
    this.#filled = 0;
  }
}

registerProcessor("capture", Capture);
