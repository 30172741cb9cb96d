/**
 * Sample-rate conversion for a stream, by a windowed sinc: what would fold back below half the new rate is taken out.
 *
 * A browser may refuse an audio context of another rate than the microphone's, so the conversion is ours everywhere.
 */

/** Input samples on each side of an output sample. 32 leaves less than 1 % of a tone beyond the new band. */
const HALF_WIDTH = 32;
/** Share of the new band that is kept; the rest is the slope of the filter. */
const PASS_BAND = 0.9;
/** Places between two input samples that have a filter of their own, made when first needed. */
const PHASES = 512;

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

export class Resampler {
  readonly #step: number;
  readonly #cutoff: number;
  readonly #kernels: Float32Array[] = [];
  #history: Float32Array = new Float32Array(2 * HALF_WIDTH);
  /** Place of the next output sample, in input samples from the start of the history. */
  #position = HALF_WIDTH;

  constructor(inputHz: number, outputHz: number) {
    this.#step = inputHz / outputHz;
    this.#cutoff = Math.min(1, outputHz / inputHz) * PASS_BAND;
  }

  /** @returns the samples that are due after this input, as floats from -1 to 1. */
  push(input: Float32Array): Float32Array {
    const known = new Float32Array(this.#history.length + input.length);
    known.set(this.#history);
    known.set(input, this.#history.length);

    const output: number[] = [];
    while (this.#position + HALF_WIDTH < known.length) {
      output.push(this.#at(known, this.#position));
      this.#position += this.#step;
    }
    const spent = Math.max(0, Math.min(known.length, Math.floor(this.#position) - HALF_WIDTH));
    this.#history = known.slice(spent);
    this.#position -= spent;
    return Float32Array.from(output);
  }

  #at(samples: Float32Array, position: number): number {
    const whole = Math.floor(position);
    const kernel = this.#kernel(Math.floor((position - whole) * PHASES));
    const first = whole - HALF_WIDTH + 1;
    let sum = 0;
    for (let i = 0; i < kernel.length; i++) sum += (kernel[i] ?? 0) * (samples[first + i] ?? 0);
    return sum;
  }

  #kernel(phase: number): Float32Array {
    const known = this.#kernels[phase];
    if (known) return known;
    const kernel = Float32Array.from({ length: 2 * HALF_WIDTH }, (_, i) => {
      const distance = i - HALF_WIDTH + 1 - phase / PHASES;
      return sinc(distance * this.#cutoff) * (0.5 + 0.5 * Math.cos((Math.PI * distance) / (HALF_WIDTH + 1)));
    });
    const total = kernel.reduce((sum, weight) => sum + weight, 0);
    this.#kernels[phase] = kernel.map((weight) => weight / total);
    return this.#kernels[phase];
  }
}
