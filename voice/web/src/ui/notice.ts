/** One sentence about what went wrong or needs doing, until it is dismissed or replaced. */
import type { View } from "../state.ts";
import { byId, child, setAttribute, setText } from "./dom.ts";

const box = byId("notice", HTMLElement);
const text = child(box, "p", HTMLParagraphElement);

export function bindNotice(dismiss: () => void): void {
  child(box, "button", HTMLButtonElement).addEventListener("click", dismiss);
}

export function renderNotice(view: View): void {
  box.hidden = view.notice === null;
  setAttribute(box, "data-tone", view.notice?.tone ?? "");
  setText(text, view.notice?.text ?? "");
}
