/** The text box. Enter sends; what could not be sent comes back into it. */
import { byId } from "./dom.ts";

const form = byId("composer", HTMLFormElement);
const input = byId("request", HTMLInputElement);

export function bindComposer(say: (text: string) => void): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text === "") return input.focus();
    input.value = "";
    say(text);
  });
}

/** Puts a text into the box for the person to change or send. */
export function fillComposer(text: string): void {
  input.value = text;
  input.focus();
  input.setSelectionRange(text.length, text.length);
}

export function restoreComposer(texts: string[]): void {
  if (input.value === "") input.value = texts.at(-1) ?? "";
}
