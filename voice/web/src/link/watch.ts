/**
 * Notices that a WebRTC call is dead sooner than ICE does, which takes up to ten seconds.
 *
 * The bot's track carries sound or silence all the time, so packets that stop are a sign. A short stop may be a busy
 * server: a plain request then tells whether it is still there. A long one has no other meaning than a dead call.
 */

const POLL_MS = 1_000;
const SUSPICIOUS_MS = 2_500;
const DEAD_MS = 5_000;
/** A connection that ICE calls disconnected often heals by itself within this time. */
const HEAL_MS = 2_000;

/**
 * @param isServerUp asked once per stop; must settle within a few seconds.
 * @param onLost may be called more than once.
 */
export function watchPeer(
  pc: RTCPeerConnection,
  dc: RTCDataChannel | null,
  isServerUp: () => Promise<boolean>,
  onLost: () => void,
): void {
  dc?.addEventListener("close", onLost);
  pc.addEventListener("connectionstatechange", () => {
    if (pc.connectionState === "failed" || pc.connectionState === "closed") onLost();
    if (pc.connectionState !== "disconnected") return;
    setTimeout(() => {
      if (pc.connectionState === "disconnected") onLost();
    }, HEAL_MS);
  });
  void watchPackets(pc, isServerUp, onLost);
}

async function watchPackets(pc: RTCPeerConnection, isServerUp: () => Promise<boolean>, onLost: () => void): Promise<void> {
  let packets = 0;
  let moved_ms = performance.now();
  let asked = false;
  while (pc.connectionState !== "closed") {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const now = await receivedPackets(pc);
    if (now !== packets || now === 0) {
      packets = now;
      moved_ms = performance.now();
      asked = false;
      continue;
    }
    const still_ms = performance.now() - moved_ms;
    if (still_ms > DEAD_MS) return onLost();
    if (still_ms > SUSPICIOUS_MS && !asked) {
      asked = true;
      if (!(await isServerUp())) return onLost();
    }
  }
}

async function receivedPackets(pc: RTCPeerConnection): Promise<number> {
  let packets = 0;
  const report = (await pc.getStats()) as unknown as Map<string, Record<string, unknown>>;
  for (const entry of report.values()) {
    if (entry["type"] === "inbound-rtp" && typeof entry["packetsReceived"] === "number") packets += entry["packetsReceived"];
  }
  return packets;
}
