/**
 * Which transport to try, in which order, and for how long.
 *
 * With a microphone WebRTC comes first, for its echo cancellation and loss handling. Without one the browser hides its
 * addresses and WebRTC takes seconds, while a socket is there at once and carries the same sound and text.
 */
import type { Microphone } from "../media/microphone.ts";
import type { Sound } from "../media/sound.ts";
import type { Identity } from "../session.ts";
import { LinkError, toLinkError } from "./errors.ts";
import { Link, type LinkEvents } from "./link.ts";
import { prepareWebRtc, prepareWebSocket, type Prepared, type TransportKind } from "./transports.ts";

export interface Route {
  readonly identity: Identity;
  readonly sound: Sound;
  /** From `?transport=` in the address: this one and no other. */
  readonly forced: string | null;
  /** The last call with a microphone had to fall back. */
  voiceOverSocket: boolean;
}

/** ICE that has not connected by then never will: UDP is blocked or no address can be reached. */
const ICE_MS = 5_000;
const TOTAL_MS = 8_000;

export function order(forced: string | null, socketFirst: boolean): TransportKind[] {
  if (forced === "webrtc" || forced === "websocket") return [forced];
  return socketFirst ? ["websocket", "webrtc"] : ["webrtc", "websocket"];
}

/** @throws LinkError with a sentence for the person, when no transport worked within the deadline. */
export async function openAny(
  route: Route,
  microphone: Microphone | null,
  signal: AbortSignal,
  events: LinkEvents,
): Promise<{ link: Link; kind: TransportKind }> {
  const started = performance.now();
  const kinds = order(route.forced, microphone === null || route.voiceOverSocket);
  let failure: LinkError | null = null;
  for (const kind of kinds) {
    const left = TOTAL_MS - (performance.now() - started);
    const isLast = kind === kinds.at(-1);
    const deadlines = { connect_ms: isLast ? left : Math.min(ICE_MS, left), ready_ms: left };
    try {
      const link = await Link.open(prepare(kind, route, microphone), microphone !== null, deadlines, signal, events);
      return { link, kind };
    } catch (error) {
      // The first sentence that comes from the server itself tells more than a later time-out.
      const next = await toLinkError(error);
      failure = failure === null || next.refused ? next : failure;
      if (next.refused || signal.aborted) throw next;
    }
  }
  throw failure ?? new LinkError("This browser offers no way to connect.");
}

function prepare(kind: TransportKind, route: Route, microphone: Microphone | null): Prepared {
  return kind === "webrtc"
    ? prepareWebRtc(route.identity, microphone)
    : prepareWebSocket(route.identity, microphone, route.sound.player);
}
