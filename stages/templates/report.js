"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const boxes = Object.keys(charts).map((name) => document.getElementById(`chart-${name}`));

// Text and grid take the colours of the page.
function colors() {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim();
  const rule = style.getPropertyValue("--rule").trim();
  return (layout) => {
    const update = { "font.color": ink };
    for (const axis of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      update[`${axis}.gridcolor`] = rule;
      update[`${axis}.linecolor`] = rule;
    }
    return update;
  };
}

function restyle(size) {
  const update = colors();
  for (const box of boxes) Plotly.relayout(box, { ...update(box.layout), ...size });
}

for (const box of boxes) {
  const { data, layout } = charts[box.id.replace("chart-", "")];
  Plotly.newPlot(box, data, layout, { responsive: true, displayModeBar: false });
}
restyle({});
dark.addEventListener("change", () => restyle({}));

// Paper is white and narrow, and nothing on it can be opened.
const closed = new Set();
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("paper");
  for (const details of document.querySelectorAll("details:not([open])")) {
    closed.add(details);
    details.open = true;
  }
  restyle({ width: 620, autosize: false });
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("paper");
  for (const details of closed) details.open = false;
  closed.clear();
  restyle({ width: null, autosize: true });
});
