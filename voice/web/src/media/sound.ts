/**
 * Everything that is heard and measured: the bot's audio element, the player for WebSocket calls, and both levels.
 *
 * Nothing audible is created before the first click or key press, since browsers would keep it silent.
 */
import { Level } from "./levels.ts";
import { PcmPlayer } from "./pcm_player.ts";

export class Sound {
  readonly #element: HTMLAudioElement;
  #context: AudioContext | null = null;
  #player: PcmPlayer | null = null;
  #remote: Level | null = null;
  #played: Level | null = null;
  #local: Level | null = null;
  #trackId: string | null = null;
  #isSilent = false;

  constructor(element: HTMLAudioElement) {
    this.#element = element;
  }

  get player(): PcmPlayer {
    if (this.#player === null) {
      this.#player = new PcmPlayer();
      this.#player.silence(this.#isSilent);
      this.#played = new Level(this.#player.analyser);
    }
    return this.#player;
  }

  /** To be called inside the handler of a click or a key press. */
  unlock(): void {
    this.#context ??= new AudioContext();
    void this.player;
    this.resume();
  }

  /** Lets what the browser holds back be heard; any click or key press will do. */
  resume(): void {
    if (this.#context?.state === "suspended") void this.#context.resume();
    void this.#player?.unlock();
    if (this.#element.srcObject !== null && this.#element.paused) void this.#element.play();
  }

  /** The bot's track of a WebRTC call. The element must play it, or an analyser would read silence. */
  playTrack(track: MediaStreamTrack, onBlocked: () => void): void {
    if (this.#trackId === track.id) return;
    this.#trackId = track.id;
    const stream = new MediaStream([track]);
    this.#element.srcObject = stream;
    this.#element.play().catch(onBlocked);
    if (this.#context) this.#remote = Level.ofStream(this.#context, stream);
  }

  /** Nothing more is heard from this page until it is wanted again; calls go on. */
  silenceAll(silent: boolean): void {
    this.#isSilent = silent;
    this.#element.muted = silent;
    this.#player?.silence(silent);
  }

  listenTo(microphone: MediaStream | null): void {
    this.#local = microphone && this.#context ? Level.ofStream(this.#context, microphone) : null;
  }

  /** Ends what the last connection played; the microphone's level stays. */
  silence(): void {
    this.#element.srcObject = null;
    this.#trackId = null;
    this.#remote = null;
    this.#player?.flush();
  }

  localLevel(): number {
    return this.#local?.read() ?? 0;
  }

  remoteLevel(): number {
    return Math.max(this.#remote?.read() ?? 0, this.#played?.read() ?? 0);
  }
}
