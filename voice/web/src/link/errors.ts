/** Why a call could not be made, in a sentence for the person on the page. */

export class LinkError extends Error {
  /** The server said no; asking again over another transport would only repeat the answer. */
  readonly refused: boolean;
  /** Nobody answered at all. */
  readonly unreachable: boolean;

  constructor(sentence: string, options: { refused?: boolean; unreachable?: boolean; cause?: unknown } = {}) {
    super(sentence, { cause: options.cause });
    this.refused = options.refused ?? false;
    this.unreachable = options.unreachable ?? false;
  }
}

/** Answers that are about this caller or the server's load, and not about the transport. */
const REFUSALS = new Set([401, 403, 429, 503]);

async function detailOf(response: Response): Promise<string | null> {
  try {
    const body = (await response.json()) as Record<string, unknown> | null;
    const detail = body?.["detail"] ?? body?.["title"];
    return typeof detail === "string" && detail !== "" ? detail : null;
  } catch {
    return null;
  }
}

export async function fromResponse(response: Response): Promise<LinkError> {
  const refused = REFUSALS.has(response.status);
  if (response.status === 401 || response.status === 403) {
    return new LinkError("This server asks for an access token. Open the page with ?token=… in its address.", { refused });
  }
  const detail = await detailOf(response);
  if (detail !== null) return new LinkError(detail, { refused });
  if (refused) return new LinkError("The server is busy with other calls. Please try again in a moment.", { refused });
  return new LinkError(`The server could not take the call (status ${response.status}).`, { refused });
}

/** Close codes of a socket with which the server refuses: try again later, a rule was broken. */
const SOCKET_REFUSALS = new Set([1008, 1013]);

/** @param reason what the server says with the close code, often nothing. */
export function fromClose(code: number, reason: string): LinkError {
  if (SOCKET_REFUSALS.has(code) && reason !== "") return new LinkError(reason, { refused: true });
  return new LinkError("The server closed the connection before the call began.");
}

/** Finds the server's own answer in whatever the transport threw. */
export async function toLinkError(error: unknown): Promise<LinkError> {
  if (error instanceof LinkError) return error;
  const cause = error instanceof Error ? error.cause : error;
  if (cause instanceof Response && !cause.bodyUsed) return fromResponse(cause);
  return new LinkError("The server cannot be reached. Is it running?", { unreachable: true, cause: error });
}
