/** "What you can ask": one example per template, put into the text box on a click. */
import type { Template } from "../protocol.ts";
import { byId, make, setText } from "./dom.ts";

const list = byId("examples", HTMLUListElement);
const note = byId("ask-note", HTMLElement);

let shown = "";

export function renderExamples(templates: Template[], choose: (example: string) => void): void {
  // The list that is there already is left alone, and with it the focus of the keyboard.
  const now = JSON.stringify(templates);
  if (now === shown) return;
  shown = now;
  setText(note, templates.length > 0 ? "Choose one to put it into the text box." : "The list could not be loaded yet.");
  list.replaceChildren(
    ...templates.map((template) => {
      const button = make(
        "button",
        { type: "button", class: "example", "data-template": template.name, "data-example": template.example },
        make("span", { class: "example-text" }, `“${template.example}”`),
        make("span", { class: "example-what" }, template.sentence || template.title),
      );
      button.addEventListener("click", () => choose(template.example));
      return make("li", {}, button);
    }),
  );
}
