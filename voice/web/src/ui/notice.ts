/** One sentence about what went wrong or needs doing, until it is dismissed (Escape does it too) or replaced. */
import type { View } from "../state.ts";
import { byId, child, setAttribute, setText } from "./dom.ts";

const box = byId("notice", HTMLElement);
const text = child(box, "p", HTMLParagraphElement);
const button = child(box, "button", HTMLButtonElement);

/** @param after takes the focus that the button of a vanished notice had. */
export function bindNotice(dismiss: () => void, after: HTMLElement): void {
  const close = (): void => {
    const held = box.contains(document.activeElement);
    dismiss();
    if (held) after.focus();
  };
  button.addEventListener("click", close);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !box.hidden) close();
  });
}

export function renderNotice(view: View): void {
  box.hidden = view.notice === null;
  setAttribute(box, "data-tone", view.notice?.tone ?? "");
  setText(text, view.notice?.text ?? "");
}
