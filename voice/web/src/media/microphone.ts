/**
 * The microphone, asked for once per call and kept over reconnects.
 *
 * Owns the original track; a connection gets a clone, because a transport stops what it was given when it closes.
 */

const CONSTRAINTS: MediaStreamConstraints = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
  video: false,
};

/** Why there is no microphone, in a sentence for the person on the page. */
export class MicrophoneError extends Error {}

const STILL = "Typing works without it.";

function sentenceFor(error: unknown): string {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return `The microphone is blocked: allow it in the browser's address bar to talk. ${STILL}`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No microphone was found. ${STILL}`;
    case "NotReadableError":
    case "AbortError":
      return `The microphone is in use by another program. ${STILL}`;
    default:
      return `The microphone could not be opened. ${STILL}`;
  }
}

export class Microphone {
  #stream: MediaStream;
  #muted = false;
  readonly #clones = new Set<MediaStreamTrack>();

  private constructor(stream: MediaStream, onEnded: () => void) {
    this.#stream = stream;
    stream.getAudioTracks()[0]?.addEventListener("ended", onEnded);
  }

  /** @throws MicrophoneError with a readable sentence, for whatever reason there is none. */
  static async open(onEnded: () => void): Promise<Microphone> {
    // The property is missing on pages without a secure context, whatever its type says.
    const devices = navigator.mediaDevices as MediaDevices | undefined;
    if (!devices) {
      throw new MicrophoneError(`Browsers give the microphone only to pages on HTTPS or on localhost. ${STILL}`);
    }
    try {
      return new Microphone(await devices.getUserMedia(CONSTRAINTS), onEnded);
    } catch (error) {
      throw new MicrophoneError(sentenceFor(error), { cause: error });
    }
  }

  get stream(): MediaStream {
    return this.#stream;
  }

  get muted(): boolean {
    return this.#muted;
  }

  setMuted(muted: boolean): void {
    this.#muted = muted;
    for (const track of [...this.#stream.getAudioTracks(), ...this.#clones]) track.enabled = !muted;
  }

  /** A track of its own for one connection; it follows `setMuted` until it is stopped. */
  cloneTrack(): MediaStreamTrack | null {
    const clone = this.#stream.getAudioTracks()[0]?.clone() ?? null;
    for (const track of this.#clones) if (track.readyState === "ended") this.#clones.delete(track);
    if (clone) this.#clones.add(clone);
    return clone;
  }

  close(): void {
    for (const track of [...this.#stream.getTracks(), ...this.#clones]) track.stop();
    this.#clones.clear();
  }
}
