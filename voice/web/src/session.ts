/**
 * Who this page is to the server: the session id, kept over visits, and the access token, kept for this tab only; and
 * what the person chose for this page.
 */

const SESSION_KEY = "sisyphus.session";
const TOKEN_KEY = "sisyphus.token";
const SILENT_KEY = "sisyphus.silent";

/** `crypto.randomUUID` exists only on secure pages; a page on a plain address of the local network needs an id too. */
function randomId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Storage may be refused (private windows, policies); the page then keeps the value for this visit only. */
function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}

/** Whether this person wants no sound, kept over visits. */
export function wantsSilence(): boolean {
  return attempt(() => localStorage.getItem(SILENT_KEY)) === "yes";
}

export function keepSilence(silent: boolean): void {
  attempt(() => (silent ? localStorage.setItem(SILENT_KEY, "yes") : localStorage.removeItem(SILENT_KEY)));
}

export class Identity {
  #session: string;
  readonly #token: string | null;

  constructor() {
    this.#session = attempt(() => localStorage.getItem(SESSION_KEY)) ?? this.#keep(randomId());
    this.#token = Identity.#takeToken();
  }

  get session(): string {
    return this.#session;
  }

  get token(): string | null {
    return this.#token;
  }

  renew(): void {
    this.#session = this.#keep(randomId());
  }

  /** @returns the headers every request to our server carries. */
  headers(): Headers {
    return new Headers(this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` });
  }

  #keep(session: string): string {
    attempt(() => localStorage.setItem(SESSION_KEY, session));
    return session;
  }

  /** Takes the token out of the address, so that it is not left in the history, a bookmark or a screenshot. */
  static #takeToken(): string | null {
    const url = new URL(location.href);
    const given = url.searchParams.get("token");
    if (given === null) return attempt(() => sessionStorage.getItem(TOKEN_KEY));
    attempt(() => sessionStorage.setItem(TOKEN_KEY, given));
    url.searchParams.delete("token");
    history.replaceState(null, "", url);
    return given;
  }
}
