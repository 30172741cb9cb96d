/** Small helpers to find and to make elements. Text only ever goes in as text, never as markup. */

export function byId<T extends Element>(id: string, type: new (...args: never[]) => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

export function child<T extends Element>(parent: Element, selector: string, type: new (...args: never[]) => T): T {
  const found = parent.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`no ${type.name} "${selector}" in <${parent.localName}>`);
  return found;
}

type Attributes = Record<string, string>;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name: string, className = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("aria-hidden", "true");
  if (className !== "") svg.setAttribute("class", className);
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Writes only what differs: an unchanged text is not announced again, and a selection in it survives. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** As `setText`, and long paths and names may break behind their separators instead of in the middle of a word. */
export function setPath(element: Element, text: string): void {
  if (element.textContent === text) return;
  const parts = text.split(/(?<=[/:_.-])(?=[^/:_.\s-])/);
  element.replaceChildren(...parts.flatMap((part, i) => (i === 0 ? [part] : [document.createElement("wbr"), part])));
}

/** A hidden element loses the focus to the top of the page; this hands it on before that is noticed. */
export function keepFocusIn(element: HTMLElement, change: () => void): void {
  const held = element.contains(document.activeElement);
  change();
  const focused = document.activeElement;
  if (held && (focused === null || focused === document.body || focused.closest("[hidden]"))) {
    element.focus({ preventScroll: true });
  }
}
