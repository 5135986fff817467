// A node or a token under the pointer is marked wherever a picture, a table or a prompt shows it, by what each says
// of itself: a mark of a chart by its label, a token by its title, a row of a table by what is written there for
// screen readers (the table itself is painted), and the graph by the tip that it shows of what is pointed at.
(() => {
  const node = /\bL\d+H\d+\b|\bL(\d+) MLP\b|\bMLP(\d+)\b/g;
  const token = /(?:\btoken|\btoken of the source|\breads|\bis read): (\d+): |^Position (\d+)$/g;
  const style = document.head.appendChild(document.createElement("style"));
  const table = "[data-testid='stDataFrame']", graph = "[data-testid='stEChartsChart']";
  const tip = `${graph} > div[style*="z-index"]:not([style*="visibility: hidden"])`;
  let marked = "";

  const nodes = said => [...said.matchAll(node)].flatMap(([name, layer, mlp]) =>
    layer ?? mlp ? [`L${layer ?? mlp} MLP`, `MLP${layer ?? mlp}`] : name);
  const places = said => [
    ...nodes(said).flatMap(name => [
      ...[";", ".", " →"].map(end => `path[aria-label*=" ${name}${end}"]`), `path[aria-label$=" ${name}"]`,
    ]),
    ...[...said.matchAll(token)].flatMap(([, told, titled]) => told ?? titled).flatMap(position => [
      ...["token", "token of the source", "reads", "is read"].map(of => `path[aria-label*=" ${of}: ${position}: "]`),
      `[title="Position ${position}"]`,
    ]),
  ];

  // The rows that can be seen, each with what it says and where it stands in the table; the head is as high as a row.
  const rows = shown => {
    const written = shown.querySelector("canvas table"), scrolled = shown.querySelector(".dvn-scroller");
    if (!written || !scrolled) return [];
    const height = scrolled.querySelector(".dvn-stack").offsetHeight / written.getAttribute("aria-rowcount");
    return [...written.querySelectorAll("tbody tr")].map(row => ({
      said: [...row.cells].map(cell => cell.textContent).join("; "),
      top: height * (row.getAttribute("aria-rowindex") - 1) - scrolled.scrollTop, height,
    })).filter(({top}) => top > height / 2);
  };

  const under = ({target, clientY}) => {
    const mark = target.closest?.("path[aria-label], [title^='Position ']");
    if (mark) return mark.getAttribute("aria-label") ?? mark.title;
    const shown = target.closest?.(table);
    if (!shown) return target.closest?.(graph)?.querySelector(tip)?.textContent ?? "";
    const y = clientY - shown.querySelector(".dvn-scroller")?.getBoundingClientRect().top;
    return rows(shown).find(({top, height}) => top <= y && y < top + height)?.said ?? "";
  };

  const markRows = names => {
    document.querySelectorAll(".marked-rows").forEach(layer => layer.remove());
    if (names.length) for (const shown of document.querySelectorAll(table)) {
      const layer = document.createElement("div");
      layer.className = "marked-rows";
      for (const {said, top, height} of rows(shown)) {
        const held = nodes(said).filter(name => names.includes(name));
        if (!held.length) continue;
        const row = layer.appendChild(document.createElement("div"));
        row.style.cssText = `top: ${top}px; height: ${height}px`;
        if (names.every(name => held.includes(name))) row.className = "with-all";  // of a path, both ends
      }
      shown.querySelector(".dvn-underlay")?.parentElement.append(layer);
    }
  };

  const markGraph = names => document.querySelectorAll(`${graph} text`).forEach(written =>
    written.classList.toggle("marked-node", nodes(written.textContent).some(name => names.includes(name))));

  const mark = said => {
    if (said === marked) return;  // else each move would have the page styled anew
    marked = said;
    const found = places(said);
    style.textContent = found.length
      ? `:is(${found}) { stroke: currentColor; stroke-width: 2px; outline: 2px solid; }
         path { outline: none !important; }`
      : "";
    markRows(nodes(said));
    markGraph(nodes(said));
  };

  // The graph shows and hides its tip a while after the pointer has moved.
  let last;
  const tips = new MutationObserver(() => mark(under(last)));
  const moved = event => {
    const within = event.target.closest?.(graph);
    if (within !== last?.target.closest?.(graph)) {
      tips.disconnect();
      if (within) tips.observe(within, {subtree: true, childList: true, attributeFilter: ["style"]});
    }
    mark(under(last = event));
  };

  for (const kind of ["pointerover", "mousemove"]) addEventListener(kind, moved);
  addEventListener("scroll", () => markRows(nodes(marked)), true);  // the rows now stand elsewhere
})();
