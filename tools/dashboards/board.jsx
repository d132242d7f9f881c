// Draws one of the chart's dashboards with the components that Grafana publishes; draw.py takes its picture.
//
// Only what our dashboards have: rows, timeseries, stat, bargauge, table and state-timeline. The last is not among the published
// components: here it is drawn on their plot. The address says what to draw:
// ?board=FILE.json&prometheus=URL&scrape=SECONDS&from=SECONDS&to=SECONDS, and NAME=VALUE for each variable.

import "@fontsource/inter/400.css";
import "@fontsource/inter/500.css";
import { useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import {
  createTheme, dateTimeFormat, FieldType, getDisplayValueAlignmentFactors, getFieldDisplayName, ThemeContext,
} from "@grafana/data";
import { BarGauge, BigValue, GlobalStyles, PanelChrome, TimeSeries, UPlotChart, UPlotConfigBuilder, VizRepeater } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { answers, chosen, from, timeRange, timeZone, to } from "./frames.js";

// Grafana's grid: so many columns, rows of so many pixels, and what lies between panels.
const COLUMNS = 24, ROW = 30, GAP = 8;
const HEAD = 48;
// The width of the axis that has the strips' names.
const AXIS = 110;
const theme = createTheme({ colors: { mode: "dark" } });

function Board({ board }) {
  const width = window.innerWidth - 2 * GAP;
  const column = (width + GAP) / COLUMNS;
  const values = chosen(board);
  const place = ({ x, y, w, h }) => ({
    position: "absolute",
    left: GAP + x * column,
    top: HEAD + y * (ROW + GAP),
    width: w * column - GAP,
    height: h * (ROW + GAP) - GAP,
  });
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Head board={board} values={values} />
      {board.panels.map((panel) => (
        <div key={panel.id} style={place(panel.gridPos)}>
          {panel.type === "row" ? <Row title={panel.title} /> : <Panel panel={panel} values={values} {...size(place(panel.gridPos))} />}
        </div>
      ))}
    </ThemeContext.Provider>
  );
}

const size = ({ width, height }) => ({ width, height });

function Head({ board, values }) {
  const box = { border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: "3px 8px", marginLeft: 8 };
  const shown = values.map(({ label, value }) => [label, value === ".*" ? "All" : value]);
  const time = (moment) => dateTimeFormat(moment, { timeZone, format: "HH:mm" });
  return (
    <div style={{ height: HEAD, padding: `8px ${GAP}px`, boxSizing: "border-box", display: "flex", alignItems: "center", color: theme.colors.text.primary }}>
      <b style={{ fontSize: 18, fontWeight: 500, flex: 1 }}>{board.title}</b>
      {[...shown, ["", `${time(from)} to ${time(to)}`]].map(([label, value]) => (
        <span key={label} style={box}>
          <span style={{ color: theme.colors.text.secondary }}>{label}</span> {value}
        </span>
      ))}
    </div>
  );
}

const Row = ({ title }) => <h2 style={{ fontSize: 16, fontWeight: 500, lineHeight: `${ROW}px`, margin: 0 }}>⌄ {title}</h2>;

function Panel({ panel, values, width, height }) {
  const [frames, setFrames] = useState(null);
  useEffect(() => void answers(panel, values, theme, width).then(setFrames, (failure) => setFrames(String(failure))), []);
  const Drawn = SHAPES[panel.type];
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height}>
      {(innerWidth, innerHeight) => {
        if (!Drawn || typeof frames === "string") {
          return <Empty text={frames ?? `no way to draw ${panel.type}`} />;
        }
        const inner = { panel, frames, width: innerWidth, height: innerHeight };
        return frames && (frames.some((frame) => frame.length) ? <Drawn {...inner} /> : <Empty text="No data" />);
      }}
    </PanelChrome>
  );
}

const Empty = ({ text }) => (
  <div style={{ height: "100%", display: "grid", placeItems: "center", color: theme.colors.text.secondary, fontSize: 16 }}>{text}</div>
);

const Lines = ({ panel, frames, width, height }) => (
  <TimeSeries frames={frames} width={width} height={height} timeRange={timeRange} timeZone={timeZone} legend={panel.options.legend} options={panel.options} />
);

/** The newest value of each series, with what it is called. */
function newest(frames) {
  return frames.map((frame) => {
    const field = frame.fields.find((one) => one.type === FieldType.number);
    const value = field.display(field.values.at(-1));
    return { field, value: { ...value, title: getFieldDisplayName(field, frame, frames) } };
  });
}

const factors = (rows) => getDisplayValueAlignmentFactors(rows.map((row) => ({ display: row.value })));

const Numbers = ({ panel, frames, width, height }) => (
  <VizRepeater
    getValues={() => newest(frames)}
    getAlignmentFactors={factors}
    source={frames}
    width={width}
    height={height}
    renderCounter={0}
    autoGrid
    orientation={panel.options.orientation}
    renderValue={({ value: row, count, alignmentFactors, ...box }) => (
      <BigValue {...panel.options} value={row.value} count={count} alignmentFactors={alignmentFactors} theme={theme} {...size(box)} />
    )}
  />
);

function Bars({ panel, frames, width, height }) {
  const rows = newest(frames);
  const most = Math.max(...rows.map((row) => row.value.numeric));
  const { minVizHeight, maxVizHeight, orientation } = panel.options;
  return (
    <VizRepeater
      getValues={() => rows}
      getAlignmentFactors={factors}
      source={frames}
      width={width}
      height={height}
      renderCounter={0}
      {...{ minVizHeight, maxVizHeight, orientation }}
      renderValue={({ value: row, alignmentFactors, ...box }) => (
        <BarGauge
          {...panel.options}
          value={row.value}
          display={row.field.display}
          field={{ max: most, ...row.field.config }}
          valueDisplayMode={panel.options.valueMode}
          alignmentFactors={alignmentFactors}
          theme={theme}
          {...size(box)}
        />
      )}
    />
  );
}

const Table = ({ panel, frames, width, height }) => (
  <TableNG data={frames[0]} width={width} height={height} noHeader={false} sortBy={panel.options?.sortBy} enableVirtualization={false} />
);

/** A strip for each series, in the colours of its values. */
function Strips({ frames, width, height }) {
  const config = useMemo(() => strips(frames), [frames]);
  const times = [from, to];
  return <UPlotChart config={config} data={[times, ...frames.map(() => [0, 1])]} width={width} height={height} />;
}

function strips(frames) {
  const builder = new UPlotConfigBuilder(timeZone);
  const fields = frames.map((frame) => ({ times: frame.fields[0].values, step: frame.fields[0].config.interval, field: frame.fields[1] }));
  const names = frames.map((frame) => getFieldDisplayName(frame.fields[1], frame, frames));
  builder.addScale({ scaleKey: "x", isTime: true, orientation: 0, direction: 1, range: () => [from, to] });
  builder.addScale({ scaleKey: "y", orientation: 1, direction: -1, range: () => [0, names.length] });
  builder.addAxis({ scaleKey: "x", isTime: true, placement: "bottom", timeZone, theme, grid: { show: false } });
  builder.addAxis({ scaleKey: "y", placement: "left", size: AXIS, theme, grid: { show: false }, splits: names.map((_, row) => row + 0.5), values: () => names });
  names.forEach(() => builder.addSeries({ scaleKey: "y", theme, pathBuilder: () => null, pointsBuilder: () => null, showPoints: "never" }));
  builder.addHook("drawClear", (plot) => {
    fields.forEach(({ times, step, field }, row) => {
      const [top, bottom] = [row + 0.05, row + 0.95].map((y) => Math.round(plot.valToPos(y, "y", true)));
      times.forEach((time, index) => {
        const [left, right] = [time, time + step].map((x) => plot.valToPos(Math.min(Math.max(x, from), to), "x", true));
        plot.ctx.fillStyle = field.display(field.values[index]).color;
        plot.ctx.fillRect(Math.floor(left), Math.min(top, bottom), Math.ceil(right) - Math.floor(left), Math.abs(bottom - top));
      });
    });
  });
  return builder;
}

const SHAPES = { timeseries: Lines, stat: Numbers, bargauge: Bars, table: Table, "state-timeline": Strips };

const board = await (await fetch(new URLSearchParams(location.search).get("board"))).json();
createRoot(document.getElementById("board")).render(<Board board={board} />);
