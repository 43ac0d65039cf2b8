"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const boxes = Object.keys(charts).map((name) => document.getElementById(`chart-${name}`));

// Text and grid take the colours of the page.
function restyle(size) {
  const style = getComputedStyle(document.documentElement);
  const [ink, rule] = ["--ink", "--rule"].map((name) => style.getPropertyValue(name).trim());
  for (const box of boxes) {
    const update = { "font.color": ink, ...size };
    for (const axis of Object.keys(box.layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      update[`${axis}.gridcolor`] = rule;
      update[`${axis}.linecolor`] = rule;
    }
    Plotly.relayout(box, update);
  }
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
