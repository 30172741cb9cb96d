/** Holds the one view and tells the parts of the page when it changed. */
import { initialView, reduce, type Action, type View } from "./state.ts";

export type Listener = (view: View, previous: View) => void;

export class Store {
  #view: View = initialView();
  readonly #listeners: Listener[] = [];

  get view(): View {
    return this.#view;
  }

  dispatch(action: Action): void {
    const previous = this.#view;
    this.#view = reduce(previous, action);
    if (this.#view === previous) return;
    for (const listener of this.#listeners) listener(this.#view, previous);
  }

  subscribe(listener: Listener): void {
    this.#listeners.push(listener);
    listener(this.#view, initialView());
  }
}
