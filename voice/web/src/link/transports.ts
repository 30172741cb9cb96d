/**
 * Builds the two transports, both with our own media manager, and repairs what their defaults get wrong for us.
 *
 * The only file that touches members which the vendor's types leave out; the versions are pinned for that reason.
 */
import type { RTVIMessage, Transport } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { ProtobufFrameSerializer, WebSocketTransport } from "@pipecat-ai/websocket-transport";

import { isUp, offerUrl, socketUrl } from "../api.ts";
import { CallMedia } from "../media/call_media.ts";
import type { Microphone } from "../media/microphone.ts";
import type { PcmPlayer } from "../media/pcm_player.ts";
import { SocketMedia } from "../media/socket_media.ts";
import type { Identity } from "../session.ts";
import { fromClose } from "./errors.ts";
import { watchPeer } from "./watch.ts";

export type TransportKind = "webrtc" | "websocket";

export interface Prepared {
  transport: Transport;
  /** What `client.connect` takes. */
  params: Record<string, unknown>;
  /** Settles only by being rejected: the server closed the connection. */
  closed: Promise<never>;
  /** Calls back when a connection that stood is gone, sooner than the transport itself would notice. */
  watch(onLost: () => void): void;
}

/** First byte of an interruption frame: field 5, length-delimited. The JavaScript serializer does not know it yet. */
const INTERRUPTION_TAG = 0x2a;
/** The transport throws on unknown kinds; a message without our label is passed over in silence. */
const NOTHING = { type: "message", message: {} as RTVIMessage } as const;

interface PeerInternals {
  pc: RTCPeerConnection | null;
  dc: RTCDataChannel | null;
  _lastNegotiationError: unknown;
  negotiate(recreate?: boolean): Promise<void>;
  attemptReconnection(recreate?: boolean): Promise<void>;
  stop(error: Error): Promise<void>;
  buildTransportStartError(): Error;
}

export function prepareWebRtc(identity: Identity, microphone: Microphone | null): Prepared {
  const transport = new SmallWebRTCTransport({ iceServers: [], mediaManager: new CallMedia(microphone) });
  const peer = transport as unknown as PeerInternals;
  failFast(peer);

  return {
    transport,
    params: {
      webrtcRequestParams: {
        endpoint: offerUrl(),
        headers: identity.headers(),
        requestData: {
          session: identity.session,
          ...(identity.token === null ? {} : { token: identity.token }),
        },
      },
      iceConfig: { iceServers: [] },
    },
    closed: new Promise(() => {}),
    watch: (onLost) => {
      if (peer.pc) watchPeer(peer.pc, peer.dc, () => isUp(identity), onLost);
    },
  };
}

/**
 * Takes the transport's own retries out: it would make a new peer but never say "client ready" to the new bot, which
 * then stays silent, and it waits two seconds before it reports a failed offer. Our reconnect starts over with the same
 * session instead. A renegotiation that the server asks for is left alone.
 */
function failFast(peer: PeerInternals): void {
  const renegotiate = peer.attemptReconnection.bind(peer);
  const negotiate = peer.negotiate.bind(peer);
  const fail = (): Promise<void> => peer.stop(peer.buildTransportStartError());
  peer.attemptReconnection = async (recreate = false) => (recreate ? fail() : renegotiate(false));
  peer.negotiate = async (recreate = false) => {
    await negotiate(recreate);
    if (peer._lastNegotiationError !== null) await fail();
  };
}

/** Adds the one frame that the package lacks: an interruption, on which what was already sent must fall silent. */
class PageSerializer extends ProtobufFrameSerializer {
  readonly #onInterruption: () => void;

  constructor(onInterruption: () => void) {
    super();
    this.#onInterruption = onInterruption;
  }

  override async deserialize(data: unknown): ReturnType<ProtobufFrameSerializer["deserialize"]> {
    if (data instanceof Blob && data.size > 0) {
      const [tag] = new Uint8Array(await data.slice(0, 1).arrayBuffer());
      if (tag === INTERRUPTION_TAG) {
        this.#onInterruption();
        return NOTHING;
      }
    }
    return super.deserialize(data);
  }
}

type SocketOptions = NonNullable<ConstructorParameters<typeof WebSocketTransport>[0]>;

export function prepareWebSocket(identity: Identity, microphone: Microphone | null, player: PcmPlayer): Prepared {
  // The vendor's type is an abstract class with protected members, which only its own classes can be.
  const mediaManager = new SocketMedia(microphone, player) as unknown as NonNullable<SocketOptions["mediaManager"]>;
  const transport = new WebSocketTransport({
    mediaManager,
    recorderSampleRate: 16_000,
    playerSampleRate: 24_000,
    serializer: new PageSerializer(() => player.flush()),
  });
  // Once the call stands, a closed socket is reported as a fatal error, on which the client disconnects by itself.
  return { transport, params: { wsUrl: socketUrl(identity) }, closed: whenClosed(transport), watch: () => {} };
}

interface SocketInternals {
  initializeWebsocket(): { on(event: "close", listener: (code: number, reason: string) => void): void };
}

/** The transport passes the server's reason over, and a client that waits for the bot would not even hear of the end. */
function whenClosed(transport: WebSocketTransport): Promise<never> {
  const internals = transport as unknown as SocketInternals;
  const make = internals.initializeWebsocket.bind(transport);
  const closed = new Promise<never>((_, reject) => {
    internals.initializeWebsocket = () => {
      const socket = make();
      socket.on("close", (code, reason) => reject(fromClose(code, reason)));
      return socket;
    };
  });
  closed.catch(() => undefined);
  return closed;
}
