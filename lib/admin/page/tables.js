/** Rows that are shown before somebody asks for all. */
const FEW = 12;

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'class') made.className = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Sets a text, unless it is that already: what does not change can be selected, and is not read out again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The same of a dotted name, which may be broken behind its dots and slashes. */
export function setName(node, text) {
  if (node.textContent === text) return;
  const parts = text.split(/(?<=[./])(?=.)/);
  node.replaceChildren(...parts.flatMap((part, index) => (index === 0 ? [part] : [element('wbr'), part])));
}

/** Shows a list: an element for each item, which stays the item's own. */
export class List {
  #parent;
  #make;
  #rows = new Map();

  /** @param make makes an element for an item; returns it, and what updates it: `{ node, update(item) }` */
  constructor(parent, make) {
    this.#parent = parent;
    this.#make = make;
  }

  /** @param items `[key, item]` in order */
  show(items) {
    const keys = new Set(items.map(([key]) => key));
    for (const [key, { node }] of this.#rows) {
      if (keys.has(key)) continue;
      node.remove();
      this.#rows.delete(key);
    }
    let next = this.#parent.firstElementChild;
    for (const [key, item] of items) {
      let row = this.#rows.get(key);
      if (row === undefined) {
        row = this.#make(item);
        this.#rows.set(key, row);
      }
      if (row.node === next) next = next.nextElementSibling;
      else this.#parent.insertBefore(row.node, next);
      row.update(item);
    }
  }
}

/**
 * A section with a table. Roles are given in so many words, since a phone shows rows as blocks, and what is no table by
 * its style is none for a screen reader.
 *
 * `columns`: `{ title, kind?, make(cell) }`, where `make` returns what updates the cell by an item.
 */
export class Table {
  #none;
  #frame;
  #more;
  #list;
  #isWhole = false;
  #items = [];

  constructor(section, { title, note, none, columns }) {
    const id = `${section.id}-title`;
    section.setAttribute('aria-labelledby', id);
    const heading = element('h2', { id }, title);
    const caption = element('caption', { class: 'unseen' }, `${title}: ${note}`);
    const heads = columns.map(({ title, kind = 'text' }) =>
      element('th', { scope: 'col', role: 'columnheader', class: kind }, title),
    );
    const head = element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads));
    const body = element('tbody', { role: 'rowgroup' });
    const table = element('table', { role: 'table' }, caption, head, body);
    this.#frame = element('div', { class: 'frame' }, table);
    this.#none = element('p', { class: 'none' }, none);
    this.#more = element('button', { type: 'button', class: 'more' });
    this.#more.addEventListener('click', () => {
      this.#isWhole = !this.#isWhole;
      this.#render();
    });
    section.append(heading, element('p', { class: 'aside' }, note), this.#none, this.#frame, this.#more);
    this.#list = new List(body, (item) => row(columns, item));
    // A table that scrolls is reached by the keyboard.
    new ResizeObserver(() => {
      const isScrolling = this.#frame.scrollWidth > this.#frame.clientWidth;
      const scrolling = { tabindex: '0', role: 'region', 'aria-label': `${title}, to scroll` };
      for (const [name, value] of Object.entries(scrolling)) {
        if (isScrolling) this.#frame.setAttribute(name, value);
        else this.#frame.removeAttribute(name);
      }
    }).observe(table);
  }

  /** Whether somebody reads it just now, so that rows should not change places. */
  get isInUse() {
    return this.#frame.matches(':hover, :focus-within');
  }

  /** @param items `[key, item]` in order */
  show(items) {
    this.#items = items;
    this.#render();
  }

  #render() {
    const items = this.#items;
    const few = this.#isWhole ? items : items.slice(0, FEW);
    this.#none.hidden = items.length > 0;
    this.#frame.hidden = items.length === 0;
    this.#more.hidden = items.length <= FEW;
    setText(this.#more, this.#isWhole ? 'Show few' : `Show all ${items.length}`);
    this.#list.show(few);
  }
}

function row(columns, item) {
  const node = element('tr', { role: 'row' });
  const updates = columns.map(({ title, kind = 'text', make }, index) => {
    const cell =
      index === 0
        ? element('th', { scope: 'row', role: 'rowheader', class: kind })
        : element('td', { role: 'cell', class: kind, 'data-title': title });
    node.append(cell);
    return make(cell, item, node);
  });
  return {
    node,
    update(changed) {
      for (const update of updates) update(changed);
    },
  };
}

/** A cell that is a text. */
export function textCell(textOf) {
  return (cell) => (item) => {
    const text = textOf(item);
    setText(cell, text);
    cell.classList.toggle('empty', text === '–');
  };
}

/** A number with its unit, which is less than the number. */
export function unitCell(partsOf) {
  return (cell) => {
    const number = document.createTextNode('');
    const unit = element('span', { class: 'unit' });
    cell.append(number, unit);
    return (item) => {
      const [text, name] = partsOf(item);
      if (number.data !== text) number.data = text;
      setText(unit, name === '' ? '' : `\u2009${name}`);
    };
  };
}
