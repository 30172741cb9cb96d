/** Call, mute, hang up and sound, the state chip and the connection pill. */
import type { View } from "../state.ts";
import { byId, child, setAttribute, setText } from "./dom.ts";
import { statusOf } from "./status.ts";

export interface ControlActions {
  talk(): void;
  hangUp(): void;
  setMuted(muted: boolean): void;
  setSilent(silent: boolean): void;
}

const connection = byId("connection", HTMLElement);
const state = byId("state", HTMLElement);
const hint = byId("hint", HTMLElement);
const call = byId("call", HTMLButtonElement);
const hangup = byId("hangup", HTMLButtonElement);
const mute = byId("mute", HTMLButtonElement);
const muteIcon = child(mute, "use", SVGUseElement);
const sound = byId("sound", HTMLButtonElement);
const soundIcon = child(sound, "use", SVGUseElement);

export function bindControls(actions: ControlActions): void {
  call.addEventListener("click", () => actions.talk());
  hangup.addEventListener("click", () => actions.hangUp());
  mute.addEventListener("click", () => actions.setMuted(!isOff(mute)));
  sound.addEventListener("click", () => actions.setSilent(!isOff(sound)));
}

export function renderControls(view: View): void {
  const { phase, mode, transport } = view.link;
  const status = statusOf(view);
  const isTalking = mode === "voice" && phase !== "idle";

  setText(connection, status.connection);
  setAttribute(connection, "data-phase", phase);
  setAttribute(connection, "data-server", view.server);
  setAttribute(connection, "data-transport", transport ?? "");
  setText(state, status.state);
  setAttribute(state, "data-state", status.stateKey);
  setText(hint, status.hint);

  const focused = document.activeElement;
  call.hidden = isTalking;
  call.disabled = !view.voice.ready || phase === "connecting";
  hangup.hidden = phase === "idle";
  setAttribute(hangup, "data-mode", mode);
  setText(child(hangup, "span", HTMLElement), hangUpWord(phase, mode));
  mute.hidden = !isTalking || (phase !== "online" && phase !== "reconnecting");
  setText(child(mute, "span", HTMLElement), view.muted ? "Unmute" : "Mute");
  setAttribute(mute, "data-off", String(view.muted));
  setAttribute(muteIcon, "href", view.muted ? "#i-mic-off" : "#i-mic");
  setText(child(sound, "span", HTMLElement), view.silent ? "Sound is off" : "Sound is on");
  setAttribute(sound, "data-off", String(view.silent));
  setAttribute(soundIcon, "href", view.silent ? "#i-sound-off" : "#i-sound");
  keepFocus(focused);
}

function isOff(button: HTMLButtonElement): boolean {
  return button.getAttribute("data-off") === "true";
}

function hangUpWord(phase: View["link"]["phase"], mode: View["link"]["mode"]): string {
  if (phase === "asking" || phase === "connecting") return "Stop";
  return mode === "voice" ? "Hang up" : "Disconnect";
}

/** A button that hides under the finger would drop the focus to the top of the page; its successor takes it. */
function keepFocus(focused: Element | null): void {
  if (!(focused instanceof HTMLButtonElement) || !focused.hidden) return;
  if (focused === call) hangup.focus();
  else if (focused === hangup || focused === mute) (call.hidden ? hangup : call).focus();
}
