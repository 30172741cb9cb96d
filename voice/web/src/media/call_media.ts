/**
 * Our media manager for the WebRTC transport: hands it a clone of the microphone's track, or none.
 *
 * It asks for no device itself and loads nothing, so that `initialize` can neither hang nor throw.
 */
import type { PipecatClientOptions, Tracks } from "@pipecat-ai/client-js";

import type { Microphone } from "./microphone.ts";

type NoDevice = Record<string, never>;

export class CallMedia {
  protected readonly microphone: Microphone | null;
  protected track: MediaStreamTrack | null = null;
  #options: PipecatClientOptions | null = null;
  #micEnabled: boolean;

  readonly supportsScreenShare = false;
  readonly isCamEnabled = false;
  readonly isSharingScreen = false;
  readonly selectedMic: NoDevice = {};
  readonly selectedCam: NoDevice = {};
  readonly selectedSpeaker: NoDevice = {};

  constructor(microphone: Microphone | null) {
    this.microphone = microphone;
    this.#micEnabled = microphone !== null && !microphone.muted;
  }

  get isMicEnabled(): boolean {
    return this.#micEnabled;
  }

  setClientOptions(options: PipecatClientOptions, override = false): void {
    if (this.#options === null || override) this.#options = options;
  }

  async initialize(): Promise<void> {
    this.#takeTrack();
  }

  async connect(): Promise<void> {
    this.#takeTrack();
  }

  async disconnect(): Promise<void> {
    this.track?.stop();
    this.track = null;
  }

  enableMic(enable: boolean): void {
    this.#micEnabled = enable && this.microphone !== null;
    this.microphone?.setMuted(!enable);
  }

  tracks(): Tracks {
    return { local: this.track ? { audio: this.track } : {} };
  }

  async getAllMics(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  async getAllCams(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  async getAllSpeakers(): Promise<MediaDeviceInfo[]> {
    return [];
  }
  async updateMic(): Promise<void> {}
  updateCam(): void {}
  updateSpeaker(): void {}
  enableCam(): void {}
  enableScreenShare(): void {}

  #takeTrack(): void {
    if (this.track !== null || this.microphone === null) return;
    this.track = this.microphone.cloneTrack();
    if (this.track) {
      this.#options?.callbacks?.onTrackStarted?.(this.track, { id: "local", name: "", local: true });
    }
  }
}
