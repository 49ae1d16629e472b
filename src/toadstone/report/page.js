for (const box of document.querySelectorAll(".chart")) {
  const spec = JSON.parse(box.nextElementSibling.textContent);
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: { theme: "page" } };
  vegaEmbed(box, spec, options).catch((error) => {
    box.textContent = "This figure could not be drawn; the table of every figure holds its numbers.";
    console.error(error);
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
