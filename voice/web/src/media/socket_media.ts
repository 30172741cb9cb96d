/**
 * Our media manager for the WebSocket transport: microphone to 16 kHz PCM chunks, and the bot's PCM to the speakers.
 */
import { CallMedia } from "./call_media.ts";
import captureModule from "./capture.worklet.ts?worker&url";
import type { Microphone } from "./microphone.ts";
import type { PcmPlayer } from "./pcm_player.ts";

type SendAudio = (chunk: ArrayBuffer) => void;

export class SocketMedia extends CallMedia {
  readonly #player: PcmPlayer;
  #send: SendAudio = () => {};
  #context: AudioContext | null = null;

  constructor(microphone: Microphone | null, player: PcmPlayer) {
    super(microphone);
    this.#player = player;
  }

  setUserAudioCallback(send: SendAudio): void {
    this.#send = send;
  }

  override async connect(): Promise<void> {
    await super.connect();
    if (this.track !== null && this.#context === null) await this.#capture(this.track);
  }

  override async disconnect(): Promise<void> {
    this.#player.flush();
    const context = this.#context;
    this.#context = null;
    await super.disconnect();
    // Not awaited: the transport closes its socket only after this.
    void context?.close();
  }

  bufferBotAudio(pcm: Int16Array | ArrayBuffer): Int16Array {
    const samples = pcm instanceof Int16Array ? pcm : new Int16Array(pcm);
    this.#player.play(samples);
    return samples;
  }

  async userStartedSpeaking(): Promise<void> {
    // Not every sound is a barge-in. The server decides, and an interruption frame of its own flushes the player.
  }

  async #capture(track: MediaStreamTrack): Promise<void> {
    const context = new AudioContext();
    this.#context = context;
    await context.resume();
    await context.audioWorklet.addModule(captureModule);
    const node = new AudioWorkletNode(context, "capture", { numberOfInputs: 1, numberOfOutputs: 1 });
    node.port.onmessage = (event: MessageEvent<ArrayBuffer>) => this.#send(event.data);
    context.createMediaStreamSource(new MediaStream([track])).connect(node);
    // A node that leads nowhere may never be run; its output is silence.
    node.connect(context.destination);
  }
}
