// A node or a token under the pointer is marked wherever a picture or a prompt shows it, by what each says of itself.
(() => {
  const node = /\bL\d+H\d+\b|\bL\d+ MLP\b|\bMLP\d+\b/g;
  const token = /(?:\btoken|\btoken of the source|\breads|\bis read): (\d+): |^Position (\d+)$/g;
  const style = document.head.appendChild(document.createElement("style"));

  const places = said => [
    ...[...said.matchAll(node)].flatMap(([name]) => [
      ...[";", ".", " →"].map(end => `path[aria-label*=" ${name}${end}"]`), `path[aria-label$=" ${name}"]`,
    ]),
    ...[...said.matchAll(token)].flatMap(([, told, titled]) => told ?? titled).flatMap(position => [
      ...["token", "token of the source", "reads", "is read"].map(of => `path[aria-label*=" ${of}: ${position}: "]`),
      `[title="Position ${position}"]`,
    ]),
  ];

  addEventListener("pointerover", ({target}) => {
    const shown = target.closest?.("path[aria-label], [title^='Position ']");
    const found = shown ? places(shown.getAttribute("aria-label") ?? shown.title) : [];
    const rules = found.length
      ? `:is(${found}) { stroke: currentColor; stroke-width: 2px; outline: 2px solid; }
         path { outline: none !important; }`
      : "";
    if (rules !== style.textContent) style.textContent = rules;  // else each move would have the page styled anew
  });
})();
