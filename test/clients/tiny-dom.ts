/** As much of a document as React needs to show a text: elements in a tree, without events, styles or layout. */

class TinyElement {
  readonly nodeType = 1
  readonly namespaceURI = 'http://www.w3.org/1999/xhtml'
  readonly nodeName: string
  readonly ownerDocument: object
  readonly style = {}
  readonly children: TinyElement[] = []
  parentNode: TinyElement | null = null
  #text = ''

  constructor(name: string, ownerDocument: object) {
    this.nodeName = name
    this.ownerDocument = ownerDocument
  }
  get tagName(): string {
    return this.nodeName
  }
  get firstChild(): null {
    return null
  }
  get textContent(): string {
    return this.#text + this.children.map(({ textContent }) => textContent).join('')
  }
  set textContent(text: string) {
    this.#text = text
  }
  appendChild(child: TinyElement): TinyElement {
    this.children.push(child)
    child.parentNode = this
    return child
  }
  removeChild(child: TinyElement): TinyElement {
    this.children.splice(this.children.indexOf(child), 1)
    return child
  }
  addEventListener(): void {}
  removeEventListener(): void {}
  setAttribute(): void {}
}

/** What might have the focus within it; there is none. */
class TinyFrame extends TinyElement {}

/** An element to show something in. `window` is there until `remove` is called: React asks it which event is being handled. */
export function tinyContainer(): { container: { readonly textContent: string }; remove(): Promise<void> } {
  const document = { nodeType: 9, addEventListener() {}, createElement: (name: string) => new TinyElement(name, document) }
  const window = { HTMLIFrameElement: TinyFrame }
  Object.assign(document, { defaultView: window })
  Object.assign(globalThis, { window })
  return {
    container: new TinyElement('DIV', document),
    async remove() {
      // what React does last of all, it does in a turn of its own
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      Reflect.deleteProperty(globalThis, 'window')
    },
  }
}
