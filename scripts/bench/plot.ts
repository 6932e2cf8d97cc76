/** Results as an SVG: one panel beside the other, medians with their extremes. */
import * as echarts from "echarts";
import { type Panel, panelsOf, type Series } from "./panels.ts";
import type { Results } from "./results.ts";
import { formatNumber } from "./table.ts";

const WIDTH = 720;
const HEIGHT = 340;
const COLUMNS = 2;
const COLOURS = ["#4269d0", "#efb118", "#3ca951", "#ff725c", "#9467bd", "#6cc5b0", "#9c6b4e", "#97bbf5"];
/** Light enough for the figures that stand in them. */
const BAR_COLOURS = ["#9db8f2", "#f6cf6f", "#97d6a1", "#ffb5a8"];

/** The whiskers of series `index`: a line from the least to the greatest value, on its bar. */
function whiskers({ values }: Series, index: number, count: number): echarts.SeriesOption {
  return {
    type: "custom",
    silent: true,
    // What lies beyond the axis, which follows the medians, is cut off.
    clip: true,
    z: 3,
    data: values.flatMap((each, at) =>
      each === null || each.min === each.max ? [] : [[at, each.min, each.max]]
    ),
    renderItem(_parameters, api) {
      const at = api.value(0);
      const layout = api.barLayout?.({ count })?.[index];
      if (layout === undefined) return;
      const [x, low] = api.coord([at, api.value(1)]);
      const [, high] = api.coord([at, api.value(2)]);
      const centre = x + layout.offsetCenter;
      return {
        type: "line",
        shape: { x1: centre, y1: low, x2: centre, y2: high },
        style: { stroke: "#0007" },
      };
    },
  };
}

function bars(panel: Panel): echarts.SeriesOption[] {
  const { series } = panel;
  return series.flatMap((each, index): echarts.SeriesOption[] => [{
    type: "bar",
    name: each.name,
    color: BAR_COLOURS[index],
    data: each.values.map((value) => value?.median ?? null),
    label: {
      show: true,
      position: "insideBottom",
      rotate: 90,
      align: "left",
      verticalAlign: "middle",
      fontSize: 9,
      color: "#000",
      formatter: ({ value }) => typeof value === "number" ? formatNumber(value) : "",
    },
  }, whiskers(each, index, series.length)]);
}

function lines({ series }: Panel): echarts.SeriesOption[] {
  return series.map((each, index) => ({
    type: "line",
    name: each.name,
    data: each.values.map((value) => value?.median ?? null),
    color: COLOURS[each.colour ?? index],
    // So that both ways of one candidate are told apart in the legend too.
    symbol: each.dashed ? "triangle" : "circle",
    symbolSize: each.dashed ? 8 : 5,
    lineStyle: { type: each.dashed ? "dashed" : "solid" },
  }));
}

function draw(panel: Panel): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    animation: false,
    backgroundColor: "#fff",
    title: { text: panel.title, textStyle: { fontSize: 14 }, left: 10, top: 8 },
    legend: {
      top: 32,
      left: 10,
      right: 10,
      itemGap: 26,
      itemWidth: panel.kind === "bars" ? 18 : 32,
      itemHeight: 10,
      textStyle: { fontSize: 11 },
    },
    grid: { left: 10, right: 20, top: 70, bottom: 10, containLabel: true },
    xAxis: {
      type: "category",
      data: panel.labels,
      axisLabel: { interval: 0, fontSize: 10, width: 90, overflow: "break" },
    },
    yAxis: panel.kind === "bars" && panel.from === undefined
      ? { type: "value" }
      : { type: "log", min: panel.from, startValue: panel.from },
    series: panel.kind === "bars" ? bars(panel) : lines(panel),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** All panels below `caption`. */
export function plot(results: Results, caption: string): string {
  const panels = panelsOf(results).map(draw);
  const top = 30;
  const height = top + Math.ceil(panels.length / COLUMNS) * HEIGHT;
  const placed = panels.map((svg, index) => {
    const [x, y] = [(index % COLUMNS) * WIDTH, top + Math.floor(index / COLUMNS) * HEIGHT];
    return svg.replace("<svg ", `<svg x="${x}" y="${y}" `);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${
      COLUMNS * WIDTH
    } ${height}" font-family="sans-serif">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="10" y="20" font-size="12" fill="#555">${escapeXml(caption)}</text>`,
    ...placed,
    "</svg>\n",
  ].join("\n");
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
