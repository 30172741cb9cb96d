/** What a task has stored: one link per file; more than a few are folded away. */
import { outputUrl } from "../api.ts";
import type { Card, Output } from "../protocol.ts";
import type { Identity } from "../session.ts";
import { icon, make, setPath } from "./dom.ts";
import { fileName, sizeOf } from "./words.ts";

/** More files than this would make a card longer than all others together. */
const MAX_OPEN = 3;

export interface Downloads {
  identity: Identity;
  /** Says why a file could not be had. */
  onFailed(error: unknown): void;
}

export class Files {
  readonly element = make("div", { class: "files" });
  readonly #list = make("ul", { "aria-label": "Output files" });
  readonly #downloads: Downloads;
  #shown = "";

  constructor(downloads: Downloads) {
    this.#downloads = downloads;
  }

  update(card: Card): void {
    this.element.hidden = card.outputs.length === 0;
    const now = JSON.stringify([card.output_count, card.outputs]);
    if (now === this.#shown) return;
    this.#shown = now;
    this.#list.replaceChildren(...card.outputs.map((file, i) => this.#row(card, file, i)));
    const more = card.output_count - card.outputs.length;
    if (more > 0) this.#list.append(make("li", { class: "more" }, `and ${more} more, which “sisyphus status ${card.id}” lists`));
    this.element.replaceChildren(card.output_count > MAX_OPEN ? this.#folded(card.output_count) : this.#list);
  }

  #folded(count: number): HTMLElement {
    return make("details", { class: "fold" }, make("summary", {}, `${count} files`), this.#list);
  }

  #row(card: Card, file: Output, number: number): HTMLElement {
    const name = fileName(file.path);
    const link = make("a", {
      href: outputUrl(this.#downloads.identity, card.id, number),
      download: name.replace(/\/$/, ""),
      "data-testid": "output",
    });
    setPath(link, name);
    link.addEventListener("click", (event) => this.#open(event, link));
    const path = make("code");
    setPath(path, file.path);
    return make("li", {}, icon("file"), make("span", {}, link, make("span", { class: "size" }, ` ${sizeOf(file.bytes)}`), path));
  }

  /** A link cannot carry a token; where there is one, the file is fetched with it and then saved. */
  #open(event: Event, link: HTMLAnchorElement): void {
    if (this.#downloads.identity.token === null) return;
    event.preventDefault();
    void this.#save(link).catch(this.#downloads.onFailed);
  }

  async #save(link: HTMLAnchorElement): Promise<void> {
    const response = await fetch(link.href, { headers: this.#downloads.identity.headers() });
    if (!response.ok) throw response;
    const url = URL.createObjectURL(await response.blob());
    make("a", { href: url, download: link.download }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}
