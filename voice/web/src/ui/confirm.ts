/** A question in place of a button: the act happens only on a second, deliberate press. */
import { make } from "./dom.ts";

export interface Question {
  text: string;
  yes: string;
  no: string;
}

/**
 * Makes `trigger` ask first. The answer buttons take its place inside `host`; Escape is "no". A trigger that is
 * `aria-disabled` asks nothing.
 */
export function askFirst(host: HTMLElement, trigger: HTMLButtonElement, question: Question, act: () => void): void {
  trigger.addEventListener("click", () => {
    if (trigger.getAttribute("aria-disabled") === "true") return;
    const yes = make("button", { type: "button", class: "button small danger", "data-testid": "confirm" }, question.yes);
    const no = make("button", { type: "button", class: "button small quiet", "data-testid": "decline" }, question.no);
    const box = make("div", { class: "confirm", role: "group", "aria-label": question.text }, make("p", {}, question.text), yes, no);
    const close = (): void => {
      box.remove();
      trigger.hidden = false;
      trigger.focus();
    };
    yes.addEventListener("click", () => {
      close();
      act();
    });
    no.addEventListener("click", close);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    });
    trigger.hidden = true;
    host.append(box);
    no.focus();
  });
}
