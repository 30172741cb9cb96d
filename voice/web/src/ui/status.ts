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
  const { phase, mode } = view.link;
  switch (phase) {
    case "idle":
      return {
        connection: "Not connected",
        state: "Ready when you are",
        stateKey: "offline",
        hint: view.voice.ready ? "Talk, or type a request below." : withoutVoice(view.voice.reason),
      };
    case "asking":
      return {
        connection: "Connecting…",
        state: "Waiting for the microphone",
        stateKey: "connecting",
        hint: "Your browser asks whether this page may use it.",
      };
    case "connecting":
      return { connection: "Connecting…", state: "Connecting", stateKey: "connecting", hint: "This takes a moment." };
    case "reconnecting":
      return {
        connection: "Reconnecting…",
        state: "Reconnecting",
        stateKey: "reconnecting",
        hint: "The connection was lost. Your tasks go on meanwhile.",
      };
    case "online":
      return { connection: "Connected", ...online(view, mode) };
  }
}

function online(view: View, mode: "voice" | "text"): Omit<Status, "connection"> {
  const stateKey = view.bot;
  if (mode === "text") {
    const state = view.bot === "listening" ? "Ready for your request" : BOT_WORDS[view.bot];
    return { state, stateKey, hint: "Typing only; answers are also spoken." };
  }
  if (view.muted && view.bot === "listening") {
    return { state: "Muted", stateKey, hint: "Your microphone is off for now." };
  }
  const hint = view.bot === "speaking" ? "Speak to interrupt." : "Say what you need.";
  return { state: BOT_WORDS[view.bot], stateKey, hint };
}

function withoutVoice(reason: string | null): string {
  const because = reason === null ? "" : `: ${reason.replace(/[.\s]+$/, "")}`;
  return `Talking is not possible yet${because}. Typing works.`;
}
