/** The words for where the call stands. Pure, so that every combination can be read in one place. */
import type { View } from "../state.ts";

export interface Status {
  /** In the page's header. */
  connection: string;
  /** In the chip beside the call button. */
  state: string;
  stateKey: string;
  hint: string;
}

const BOT_WORDS = { listening: "Listening", thinking: "Thinking", speaking: "Speaking" } as const;

export function statusOf(view: View): Status {
  const { phase, trouble } = view.link;
  switch (phase) {
    case "idle":
      return idle(view);
    case "asking":
      return {
        connection: "Connecting…",
        state: "Waiting for the microphone",
        stateKey: "connecting",
        hint: "Your browser asks for your permission.",
      };
    case "connecting":
      return { connection: "Connecting…", state: "Connecting", stateKey: "connecting", hint: "This takes a moment." };
    case "reconnecting":
      return {
        connection: "Reconnecting…",
        state: "Reconnecting",
        stateKey: "reconnecting",
        hint: trouble ?? "The connection was lost. It is tried again until it works; your tasks are kept.",
      };
    case "online":
      return { connection: "Connected", ...online(view) };
  }
}

function idle(view: View): Status {
  if (view.server === "down") {
    return {
      connection: "Server not reachable",
      state: "The server does not answer",
      stateKey: "reconnecting",
      hint: "It is tried again every few seconds; your tasks are kept.",
    };
  }
  const hint = view.voice.ready ? "Talk, or type a request below." : withoutVoice(view.voice.reason);
  return { connection: "Not in a call", state: "Ready when you are", stateKey: "offline", hint };
}

function online(view: View): Omit<Status, "connection"> {
  const stateKey = view.bot;
  if (view.link.mode === "text") {
    const state = view.bot === "listening" ? "Ready for your request" : BOT_WORDS[view.bot];
    const hint = view.silent ? "Microphone and sound are off." : "The microphone is off; answers are spoken.";
    return { state, stateKey, hint };
  }
  if (view.muted && view.bot === "listening") {
    return { state: "Muted", stateKey, hint: "Your microphone is off for now." };
  }
  if (view.silent) return { state: BOT_WORDS[view.bot], stateKey, hint: "The sound is off; answers are only shown." };
  const hint = view.bot === "speaking" ? "Speak to interrupt." : "Say what you need.";
  return { state: BOT_WORDS[view.bot], stateKey, hint };
}

function withoutVoice(reason: string | null): string {
  const because = reason === null ? "" : `: ${reason.replace(/[.\s]+$/, "")}`;
  return `Talking is not possible yet${because}. Typing works.`;
}
