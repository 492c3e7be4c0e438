import { BarChart, type BarSeriesOption, CustomChart, type CustomSeriesOption } from "echarts/charts";
import {
  GridComponent,
  type GridComponentOption,
  TitleComponent,
  type TitleComponentOption,
} from "echarts/components";
import { type ComposeOption, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { type Bar, type Panel, sectionsOf } from "./chart-panels.ts";
import { SLUICE } from "./contenders.ts";
import { counted, figure } from "./format.ts";
import type { Results } from "./results.ts";

use([BarChart, CustomChart, GridComponent, TitleComponent, SVGRenderer]);

type Option = ComposeOption<
  BarSeriesOption | CustomSeriesOption | GridComponentOption | TitleComponentOption
>;
type Title = TitleComponentOption;

const WIDTH = 1040;
const MARGIN = 28;
const GAP = 30;
/** Inside of a panel: for the contenders' names, and for the figures behind the bars. */
const NAMES = 78;
const FIGURES = 50;

const HEAD = 84;
const SECTION_HEAD = 54;
const PANEL_HEAD = 39;
const BAR = 25;
const PANEL_FOOT = 24;
const FOOT = 14;

/** A paper of its own, so that it reads the same on a dark page. */
const PAPER = "#fbfbfa";
const INK = "#1f2429";
const FAINT = "#646c75";
const RULE = "#dfe2e6";
const OWN = "#0e7c88";
const OTHER = "#b6bec7";
const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

/** The main figures as an SVG picture. The same results give the same picture. */
export function chartOf(results: Results): string {
  const sections = sectionsOf(results);
  const titles = heading(results);
  const placed: Placed[] = [];
  let top = HEAD;
  for (const { title, hint, panels } of sections) {
    titles.push(text(title, hint, MARGIN, top, 16));
    top += SECTION_HEAD;
    // Four in a row rather than one alone below three.
    const columns = panels.length === 4 ? 4 : 3;
    const width = (WIDTH - 2 * MARGIN + GAP) / columns - GAP;
    for (let i = 0; i < panels.length; i += columns) {
      const row = panels.slice(i, i + columns);
      const place = { top, width };
      placed.push(...row.map((panel, n) => ({ panel, left: MARGIN + n * (width + GAP), ...place })));
      top += PANEL_HEAD + Math.max(...row.map(({ bars }) => bars.length)) * BAR + PANEL_FOOT;
    }
  }
  if (sections.length === 0) {
    titles.push(text("Nothing was measured that can be drawn.", "", MARGIN, top, 14));
    top += SECTION_HEAD;
  }
  return draw(optionOf(titles, placed), top + FOOT);
}

function heading({ commit, startedAt, machine, rounds, secondsEach }: Results): Title[] {
  const run = `${counted(rounds, "round")} of ${counted(secondsEach, "second")}`;
  return [
    text(
      "Sluice beside others, on the same work in one run",
      `Medians, lines from the lowest to the highest of ${run} · ${machine.cpu}, ${counted(machine.cores, "core")} · ${startedAt.slice(0, 10)}, commit ${commit}`,
      MARGIN,
      22,
      20,
    ),
  ];
}

function text(
  title: string,
  subtitle: string,
  left: number,
  top: number,
  size: number,
  width?: number,
): Title {
  const cut = width === undefined ? {} : { width, overflow: "truncate" as const };
  return {
    text: title,
    subtext: subtitle,
    left,
    top,
    padding: 0,
    itemGap: 5,
    textStyle: { color: INK, fontSize: size, fontWeight: 600, fontFamily: FONT, ...cut },
    subtextStyle: { color: FAINT, fontSize: 12, fontFamily: FONT, ...cut },
  };
}

interface Placed {
  readonly panel: Panel;
  readonly left: number;
  readonly top: number;
  readonly width: number;
}

function optionOf(titles: readonly Title[], panels: readonly Placed[]): Option {
  return {
    animation: false,
    backgroundColor: PAPER,
    textStyle: { fontFamily: FONT },
    title: [
      ...titles,
      ...panels.map(({ panel, left, top, width }) => text(panel.title, panel.subtitle, left, top, 13, width)),
    ],
    grid: panels.map(({ panel, left, top, width }) => ({
      left: left + NAMES,
      top: top + PANEL_HEAD,
      width: width - NAMES - FIGURES,
      height: panel.bars.length * BAR,
    })),
    yAxis: panels.map(({ panel }, gridIndex) => ({
      gridIndex,
      type: "category",
      inverse: true,
      data: panel.bars.map(({ contender }) => contender),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: RULE } },
      axisLabel: {
        width: NAMES - 8,
        overflow: "truncate",
        fontSize: 12,
        interval: 0,
        color: (name) => (name === SLUICE ? OWN : INK),
      },
    })),
    xAxis: panels.map(({ panel }, gridIndex) => ({
      gridIndex,
      type: "value",
      min: Math.min(0, ...panel.bars.map((bar) => bar.min)),
      max: Math.max(0, ...panel.bars.map((bar) => bar.max)) || 1,
      // The figures stand beside their bars.
      axisLabel: { show: false },
      splitLine: { show: false },
    })),
    series: panels.flatMap(({ panel: { bars } }, axis): Option["series"] & object => [
      {
        type: "bar",
        xAxisIndex: axis,
        yAxisIndex: axis,
        barWidth: 14,
        data: bars.map(({ contender, median }) => ({
          value: median,
          itemStyle: { color: contender === SLUICE ? OWN : OTHER },
        })),
      },
      whiskers(bars, axis),
    ]),
  };
}

/** From the lowest to the highest round, and the median's figure behind. */
function whiskers(bars: readonly Bar[], axis: number): CustomSeriesOption {
  return {
    type: "custom",
    xAxisIndex: axis,
    yAxisIndex: axis,
    data: bars.map(({ min, max, median }, i) => [min, i, max, median]),
    encode: { x: [0, 2], y: 1 },
    renderItem: (_, api) => {
      const [low = 0, y = 0] = api.coord([api.value(0), api.value(1)]);
      const [high = 0] = api.coord([api.value(2), api.value(1)]);
      const [middle = 0] = api.coord([api.value(3), api.value(1)]);
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: "line" as const,
        shape: { x1, y1, x2, y2 },
        style: { stroke: INK, lineWidth: 1 },
      });
      const own = bars[Number(api.value(1))]?.contender === SLUICE;
      return {
        type: "group",
        children: [
          ...(high - low > 1
            ? [line(low, y, high, y), line(low, y - 3, low, y + 3), line(high, y - 3, high, y + 3)]
            : []),
          {
            type: "text",
            style: {
              text: figure(Number(api.value(3))),
              x: Math.max(high, middle) + 6,
              y,
              verticalAlign: "middle",
              fill: own ? OWN : INK,
              fontSize: 12,
              fontWeight: own ? 600 : 400,
              fontFamily: FONT,
            },
          },
        ],
      };
    },
  };
}

function draw(option: Option, height: number): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  try {
    chart.setOption(option);
    const svg = chart
      .renderToSVGString()
      // A picture in a page is not hovered over; the names of these classes count up with every picture.
      .replaceAll(/ class="zr\d+-cls-\d+"/g, "")
      .replace(/<style\b[^]*<\/style>\s*/, "")
      // Not every viewer knows the first; all know the second.
      .replaceAll('dominant-baseline="central"', 'dy="0.35em"');
    return `${svg}\n`;
  } finally {
    // Its timers would keep the process alive.
    chart.dispose();
  }
}
