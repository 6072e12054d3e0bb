"use strict";
(async () => {
  const read = (id) => document.getElementById(id).textContent;
  const { dark: darker, config } = JSON.parse(read("plot-settings"));
  const places = [...document.querySelectorAll(".plot")];
  const figures = new Map(places.map((place) => [place, place.querySelector("script").textContent]));

  const unpacked = async () => {
    const bytes = Uint8Array.from(atob(read("plotly")), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const load = async () => {
    const script = document.createElement("script");
    script.textContent = await unpacked();
    document.head.append(script);
  };
  // Colours are told apart by their names alone, so that a figure holds each once, for the light.
  const recoloured = (value) => {
    if (typeof value === "string") return darker[value] ?? value;
    if (Array.isArray(value)) return value.map(recoloured);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, recoloured(inner)]));
  };
  const isDark = matchMedia("(prefers-color-scheme: dark)");
  const draw = async (inDark) => {
    for (const place of places) {
      const figure = JSON.parse(figures.get(place));
      const { data, layout } = inDark ? recoloured(figure) : figure;
      await Plotly.react(place, data, layout, config);
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  if (!("DecompressionStream" in window)) {
    for (const place of places) place.textContent = "This browser is too old to draw this plot; a newer one will.";
    return;
  }
  await load();
  for (const place of places) place.replaceChildren();
  await draw(isDark.matches);
  isDark.addEventListener("change", (event) => draw(event.matches));
  // Paper is white whatever the screen is.
  addEventListener("beforeprint", () => draw(false));
  addEventListener("afterprint", () => draw(isDark.matches));
  document.documentElement.dataset.drawn = "yes";
})();
