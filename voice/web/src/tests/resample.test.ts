import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../media/resample.ts";

const SECONDS = 0.5;

function tone(hz: number, rate: number): Float32Array {
  return Float32Array.from({ length: rate * SECONDS }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
}

function convert(input: Float32Array, from: number, to: number, block: number): Float32Array {
  const resampler = new Resampler(from, to);
  const output: number[] = [];
  for (let i = 0; i < input.length; i += block) output.push(...resampler.push(input.subarray(i, i + block)));
  return Float32Array.from(output);
}

function loudness(samples: Float32Array): number {
  const middle = samples.subarray(400, samples.length - 400);
  return Math.sqrt(middle.reduce((sum, sample) => sum + sample * sample, 0) / middle.length);
}

for (const rate of [48_000, 44_100, 16_000, 8_000]) {
  test(`speech at ${rate} Hz keeps its length and loudness at 16 kHz`, () => {
    const output = convert(tone(1_000, rate), rate, 16_000, 128);
    assert.ok(Math.abs(output.length - 16_000 * SECONDS) < 100, `${output.length} samples`);
    assert.ok(Math.abs(loudness(output) - Math.SQRT1_2) < 0.02, `loudness ${loudness(output)}`);
  });
}

test("a tone that 16 kHz cannot carry is taken out instead of folding back into the speech", () => {
  assert.ok(loudness(convert(tone(11_000, 48_000), 48_000, 16_000, 128)) < 0.01);
});

test("how the input is cut into blocks makes no difference", () => {
  const input = tone(700, 48_000);
  const small = convert(input, 48_000, 16_000, 128);
  const large = convert(input, 48_000, 16_000, 4_800);
  assert.deepEqual(Array.from(small.subarray(0, 7_000)), Array.from(large.subarray(0, 7_000)));
});
