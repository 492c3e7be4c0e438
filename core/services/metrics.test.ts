import { expect, test } from "bun:test";
import { createMetrics } from "./metrics.ts";

/** The lines of one metric, without its comments. */
const samples = (text: string, name: string): string[] =>
  text.split("\n").filter((line) => line.startsWith(name) && !line.startsWith("#"));

test("counters, gauges and histograms stand in the text as Prometheus reads them", async () => {
  const metrics = createMetrics();
  metrics.counter("things_total", "Things.", ["kind"]).inc({ kind: "a" }, 3);
  metrics.gauge("level", "Level.").set(-1.5);
  const sizes = metrics.histogram("sizes", "Sizes.", [], [1, 10]);
  for (const size of [1, 5, 50]) sizes.observe(size);
  const text = await metrics.text();
  expect(text).toContain("# HELP sluice_things_total Things.\n# TYPE sluice_things_total counter\n");
  expect(samples(text, "sluice_things_total")).toEqual(['sluice_things_total{kind="a"} 3']);
  expect(samples(text, "sluice_level")).toEqual(["sluice_level -1.5"]);
  expect(samples(text, "sluice_sizes")).toEqual([
    'sluice_sizes_bucket{le="1"} 1',
    'sluice_sizes_bucket{le="10"} 2',
    'sluice_sizes_bucket{le="+Inf"} 3',
    "sluice_sizes_sum 56",
    "sluice_sizes_count 3",
  ]);
  expect(metrics.total("things_total")).toBe(3);
  expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
});

test("asking again gives the same metric, whatever the order of its labels", async () => {
  const metrics = createMetrics();
  metrics.counter("n_total", "N.", ["a", "b"]).inc({ a: "1", b: "2" });
  metrics.counter("n_total", "N.", ["b", "a"]).inc({ a: "1", b: "2" });
  expect(samples(await metrics.text(), "sluice_n_total")).toEqual(['sluice_n_total{a="1",b="2"} 2']);
  expect(() => metrics.gauge("n_total", "N.")).toThrow("metric n_total exists already as a counter");
});

test("asking again with other labels loses neither the old numbers nor the new ones", async () => {
  const metrics = createMetrics();
  const before = metrics.counter("n_total", "N.", ["a"]);
  before.inc({ a: "1" });
  metrics.counter("n_total", "N.", ["a", "b"]).inc({ a: "1", b: "2" });
  before.inc({ a: "1" });
  const text = await metrics.text();
  expect(samples(text, "sluice_n_total")).toEqual([
    'sluice_n_total{a="1"} 2',
    'sluice_n_total{a="1",b="2"} 1',
  ]);
  expect(text.match(/# TYPE sluice_n_total/g)).toHaveLength(1);
  expect(metrics.total("n_total")).toBe(3);
});

test("a stranger cannot fill the memory with label values", async () => {
  const metrics = createMetrics();
  const counter = metrics.counter("n_total", "N.", ["who"]);
  for (let i = 0; i < 5_000; i++) counter.inc({ who: `stranger ${i}` });
  const lines = samples(await metrics.text(), "sluice_n_total");
  expect(lines.length).toBeLessThanOrEqual(1_001);
  expect(lines).toContain('sluice_n_total{who="other"} 4000');
  expect(metrics.total("n_total")).toBe(5_000);
});

test("label values cannot break out of their line", async () => {
  const metrics = createMetrics();
  metrics.counter("n_total", "N.", ["who"]).inc({ who: 'a"} 5\nsluice_forged 1\\' });
  const text = await metrics.text();
  expect(samples(text, "sluice_forged")).toEqual([]);
  expect(samples(text, "sluice_n_total")).toEqual(['sluice_n_total{who="a\\"} 5\\nsluice_forged 1\\\\"} 1']);
});

test("names that would make the text unreadable are refused when they are declared", () => {
  const metrics = createMetrics();
  expect(() => metrics.counter("Not A Name", "N.")).toThrow('illegal metric name "Not A Name"');
  for (const label of ["content-type", "a b", "", "__name__", "le"])
    expect(() => metrics.counter(`n_${label.length}`, "N.", [label])).toThrow("illegal label name");
});

test("one wrong number of a plugin does not spoil a metric", async () => {
  const metrics = createMetrics();
  const counter = metrics.counter("n_total", "N.");
  const histogram = metrics.histogram("h", "H.", [], [1]);
  for (const wrong of [Number.NaN, -1, Number.POSITIVE_INFINITY]) counter.inc({}, wrong);
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) histogram.observe(wrong);
  counter.inc();
  histogram.observe(0.5);
  const text = await metrics.text();
  expect(samples(text, "sluice_n_total")).toEqual(["sluice_n_total 1"]);
  expect(samples(text, "sluice_h_sum")).toEqual(["sluice_h_sum 0.5"]);
});
