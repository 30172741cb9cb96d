/** How loud a sound is, as the root mean square of the last few milliseconds, from 0 to 1. */

export class Level {
  readonly #analyser: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;

  constructor(analyser: AnalyserNode) {
    analyser.fftSize = 1024;
    this.#analyser = analyser;
    this.#samples = new Float32Array(analyser.fftSize);
  }

  static ofStream(context: AudioContext, stream: MediaStream): Level {
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    return new Level(analyser);
  }

  read(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.sqrt(sum / this.#samples.length);
  }
}
