/**
 * Plays the PCM that comes over a WebSocket: 24 kHz, mono, one chunk right after the other.
 *
 * Works on pages without a secure context too, where audio worklets do not exist.
 */

const RATE_HZ = 24_000;
/** Head start of the first chunk, which evens out late packets. More would be heard as delay. */
const LEAD_S = 0.08;

export class PcmPlayer {
  readonly #context = new AudioContext({ sampleRate: RATE_HZ });
  readonly analyser = this.#context.createAnalyser();
  readonly #volume = this.#context.createGain();
  readonly #playing = new Set<AudioBufferSourceNode>();
  #nextStart_s = 0;

  constructor() {
    this.analyser.connect(this.#volume).connect(this.#context.destination);
  }

  /** Plays on, unheard, or is heard again. */
  silence(silent: boolean): void {
    this.#volume.gain.value = silent ? 0 : 1;
  }

  /** Must be called from a click or a key press at least once; browsers keep a page silent until then. */
  async unlock(): Promise<void> {
    if (this.#context.state === "suspended") await this.#context.resume();
  }

  play(pcm: Int16Array): void {
    if (pcm.length === 0) return;
    const buffer = this.#context.createBuffer(1, pcm.length, RATE_HZ);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 0x8000), 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.analyser);
    source.onended = () => this.#playing.delete(source);

    const now = this.#context.currentTime;
    if (this.#nextStart_s < now) this.#nextStart_s = now + LEAD_S;
    source.start(this.#nextStart_s);
    this.#nextStart_s += buffer.duration;
    this.#playing.add(source);
  }

  /** Falls silent at once: the person interrupted, or the call ended. */
  flush(): void {
    for (const source of this.#playing) source.stop();
    this.#playing.clear();
    this.#nextStart_s = 0;
  }
}
