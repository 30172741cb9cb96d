/** Addresses of our server, all relative to the page, and the one plain request it makes. */
import { parseConfig, type Config } from "./protocol.ts";
import type { Identity } from "./session.ts";

/** A server that is up answers at once; longer means that it is not. */
const CONFIG_TIMEOUT_MS = 5_000;

export function offerUrl(): string {
  return new URL("api/offer", document.baseURI).href;
}

export function socketUrl(identity: Identity): string {
  const url = new URL("api/ws", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("session", identity.session);
  if (identity.token !== null) url.searchParams.set("token", identity.token);
  return url.href;
}

/** @throws Response when the server refuses, or the error of fetch when it cannot be reached. */
export async function fetchConfig(identity: Identity): Promise<Config> {
  const response = await fetch(new URL("api/config", document.baseURI), {
    headers: identity.headers(),
    signal: AbortSignal.timeout(CONFIG_TIMEOUT_MS),
  });
  if (!response.ok) throw response;
  return parseConfig(await response.json());
}

/** Whether the server answers at all, whatever it says. */
export async function isUp(identity: Identity): Promise<boolean> {
  try {
    await fetchConfig(identity);
    return true;
  } catch (error) {
    return error instanceof Response;
  }
}
