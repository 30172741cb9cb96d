/** Addresses of our server, all relative to the page, and the plain requests it makes. */
import { parseConfig, type Config } from "./protocol.ts";
import type { Identity } from "./session.ts";

/** A server that is up answers at once; longer means that it is not. */
const ANSWER_TIMEOUT_MS = 5_000;

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

/** @param file place of the file among the task's outputs. */
export function outputUrl(identity: Identity, task: string, file: number): string {
  return new URL(`${taskPath(identity, task)}/outputs/${file}`, document.baseURI).href;
}

/** @throws Response when the server refuses, or the error of fetch when it cannot be reached. */
export async function fetchConfig(identity: Identity): Promise<Config> {
  return parseConfig(await (await answer("api/config", identity)).json());
}

/**
 * The session as it is without a call: the text of its snapshot.
 *
 * @throws as `fetchConfig` does.
 */
export async function fetchSession(identity: Identity): Promise<string> {
  return (await answer(`api/sessions/${encodeURIComponent(identity.session)}`, identity)).text();
}

/** @throws as `fetchConfig` does. */
export async function cancelTask(identity: Identity, task: string): Promise<void> {
  await answer(`${taskPath(identity, task)}/cancel`, identity, { method: "POST" });
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

async function answer(path: string, identity: Identity, options: RequestInit = {}): Promise<Response> {
  const response = await fetch(new URL(path, document.baseURI), {
    ...options,
    headers: identity.headers(),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  if (!response.ok) throw response;
  return response;
}

function taskPath(identity: Identity, task: string): string {
  return `api/sessions/${encodeURIComponent(identity.session)}/tasks/${encodeURIComponent(task)}`;
}
