// A panel's queries, asked of a Prometheus as Grafana asks them, and the answers as Grafana's data frames.

import { dateTime, FieldType, getDisplayProcessor, standardTransformers, standardTransformersRegistry, transformDataFrame } from "@grafana/data";
import { firstValueFrom } from "rxjs";

const asked = new URLSearchParams(location.search);
export const from = Number(asked.get("from")) * 1000;
export const to = Number(asked.get("to")) * 1000;
export const timeRange = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
export const timeZone = "utc";
// As it is set at the data source: how often the Prometheus scrapes; seconds.
const SCRAPE = Number(asked.get("scrape"));

// What the panels' own code has as defaults: Grafana puts them under what a dashboard says.
const LINE = { drawStyle: "line", lineWidth: 1, pointSize: 5, showPoints: "auto", spanNulls: false, axisPlacement: "auto" };
const COLORS = { timeseries: "palette-classic", "state-timeline": "thresholds" };

const { organizeFieldsTransformer: organize } = standardTransformers;
standardTransformersRegistry.setInit(() => [{ id: organize.id, name: organize.name, transformation: async () => organize }]);

/** The values of a dashboard's variables: what the address says, and "all" for the others. */
export function chosen(board) {
  const variables = board.templating.list.filter((one) => one.type === "query");
  return variables.map((one) => ({ name: one.name, label: one.label, value: asked.get(one.name) ?? one.allValue }));
}

/** The frames of a panel that is so many pixels wide: one for each series, or one table. */
export async function answers(panel, values, theme, width) {
  const answered = await Promise.all(panel.targets.map((target) => answer(target, values, width)));
  const frames = answered.flat();
  const fields = frames.flatMap((frame) => frame.fields);
  fields.filter(({ type }) => type === FieldType.number).forEach((field, index) => (field.state = { seriesIndex: index }));
  for (const field of fields) {
    field.config = field.type === FieldType.time ? field.config : configured(panel, field);
    field.display = getDisplayProcessor({ field, theme, timeZone });
  }
  return firstValueFrom(transformDataFrame(panel.transformations ?? [], frames));
}

function configured(panel, field) {
  const told = panel.fieldConfig.defaults;
  const color = { mode: COLORS[panel.type] ?? "thresholds" };
  const ours = panel.fieldConfig.overrides.filter(({ matcher }) => matcher.options === field.config.displayNameFromDS);
  const overridden = Object.fromEntries(ours.flatMap(({ properties }) => properties.map(({ id, value }) => [id, value])));
  return { color, ...told, ...field.config, ...overridden, custom: { ...LINE, ...told.custom } };
}

async function answer(target, values, width) {
  const step = Math.max(SCRAPE, rounded((to - from) / 1000 / width));
  const expr = values
    .reduce((text, { name, value }) => text.replaceAll(`$${name}`, value), target.expr)
    .replaceAll("$__rate_interval", `${Math.max(step + SCRAPE, 4 * SCRAPE)}s`);
  const start = Math.floor(from / 1000 / step) * step;
  const times = target.instant ? { time: to / 1000 } : { start, end: to / 1000, step };
  const url = `${asked.get("prometheus")}/api/v1/query${target.instant ? "" : "_range"}?${new URLSearchParams({ query: expr, ...times })}`;
  const told = await (await fetch(url)).json();
  if (told.status !== "success") {
    throw new Error(`${expr}: ${told.error}`);
  }
  const series = told.data.result.map(({ metric, values: many, value }) => ({ metric, samples: many ?? [value] }));
  return target.format === "table" ? table(series) : series.map((one) => line(one, target, step));
}

/** Grafana's steps that can come up here. */
function rounded(seconds) {
  return [1, 2, 5, 10, 15, 20, 30, 60, 120, 300].find((step) => seconds <= step * 1.25) ?? 600;
}

function line({ metric, samples }, target, step) {
  const name = target.legendFormat?.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? label);
  return frame(samples.length, [
    { name: "Time", type: FieldType.time, config: { interval: step * 1000 }, values: samples.map(([time]) => time * 1000) },
    {
      name: "Value",
      type: FieldType.number,
      labels: metric,
      config: { displayNameFromDS: name || told(metric) },
      // What is no number is a gap.
      values: samples.map(([, value]) => (Number.isFinite(Number(value)) ? Number(value) : null)),
    },
  ]);
}

/** As Prometheus writes a series that has no legend. */
function told({ __name__: name = "", ...labels }) {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length || name ? `${name}{${pairs.join(", ")}}` : "Value";
}

function table(series) {
  if (!series.length) {
    return [];
  }
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const column = (name) => ({ name, type: FieldType.string, config: {}, values: series.map(({ metric }) => metric[name] ?? "") });
  const times = { name: "Time", type: FieldType.time, config: {}, values: series.map(({ samples }) => samples[0][0] * 1000) };
  const values = { name: "Value", type: FieldType.number, config: {}, values: series.map(({ samples }) => Number(samples[0][1])) };
  return [frame(series.length, [times, ...labels.map(column), values])];
}

const frame = (length, fields) => ({ length, fields });
