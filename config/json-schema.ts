import type { AnyPlugin } from "sluice/plugin";
import { z } from "zod";
import { ITEM_NAME } from "./names.ts";
import { NOT_AVAILABLE, PLANNED_PLUGINS, STEP_KEYS } from "./planned.ts";
import { UNAVAILABLE } from "./scalar.ts";
import { GENERAL } from "./schema-general.ts";
import { listenerSchema } from "./schema-listener.ts";
import { routeSchema } from "./schema-route.ts";
import { upstreamSchema } from "./upstream/upstream.ts";
import { stepShape } from "./steps.ts";
import { filePath, text } from "./values.ts";

type Json = Record<string, unknown>;

/** What `${…}` may stand for: any single value, whatever type it has after interpolation. */
const INTERPOLATED = "interpolated";

/**
 * The whole format as a JSON Schema (draft 2020-12) for editors, the given plugins' options included. It is wider
 * than `validateDocument`: it knows nothing of other files, of names that are defined elsewhere, or of what
 * `${…}` will be.
 */
export function jsonSchema(plugins: readonly AnyPlugin[]): object {
  const generated = z.toJSONSchema(documentSchema(plugins), {
    target: "draft-2020-12",
    io: "input",
    unrepresentable: "any",
    reused: "inline",
  }) as Json;
  const { $schema, $defs, ...rest } = widened(generated) as Json;
  return {
    $schema,
    title: "Sluice configuration",
    ...rest,
    $defs: {
      ...($defs as Json | undefined),
      [INTERPOLATED]: {
        type: "string",
        pattern: "\\$\\{",
        description: "`${NAME}`, `${NAME:-default}` or `${file:path}`.",
      },
    },
  };
}

function documentSchema(plugins: readonly AnyPlugin[]) {
  const step = stepSchema(plugins);
  const name = z.string().regex(ITEM_NAME);
  return z
    .strictObject({
      ...GENERAL,
      include: z
        .union([filePath(), z.array(filePath())])
        .optional()
        .describe("Further YAML files, relative to this one, merged as if they stood at its top."),
      listeners: z
        .array(listenerSchema)
        .min(1)
        .optional()
        .describe("Where requests come in. Default one listener on 0.0.0.0:8080."),
      plugins: z
        .record(name, text("a file or a package"))
        .optional()
        .describe("Third parties' plugins: name to a .ts or .js file, or a package, relative to this file."),
      upstreams: z.record(name, upstreamSchema).optional().describe("Where requests go, by name."),
      pipelines: z.record(name, z.array(step)).optional().describe("Lists of steps to `use`, by name."),
      routes: z
        .array(routeSchema(step))
        .min(1)
        .optional()
        .describe("The first that matches takes a request."),
    })
    .partial()
    .describe("Included files may hold any part of it.");
}

function stepSchema(plugins: readonly AnyPlugin[]): z.ZodType {
  const names = plugins.map(({ name }) => name);
  const bareName = z.union([
    z.enum(names).describe("A plugin with its defaults."),
    z
      .string()
      .regex(ITEM_NAME)
      .meta({ not: { enum: [...PLANNED_PLUGINS] } })
      .describe("A third party's plugin."),
  ]);
  const options = plugins.map(({ name, description, schema }) => {
    return [name, z.union([schema, z.null()]).optional().describe(description)] as const;
  });
  const planned = [...PLANNED_PLUGINS].filter((name) => !STEP_KEYS.has(name));
  // Options are nearly always a mapping; anything else beside the known keys is a slip in one of them.
  const thirdParty = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown()), z.null()]);
  const withOptions = z
    .object({
      ...stepShape,
      use: text("the name of a pipeline").optional().describe("Puts a pipeline's steps here; stands alone."),
      ...Object.fromEntries(
        planned.map((name) => [name, z.never().optional().describe(`It ${NOT_AVAILABLE}.`)]),
      ),
      ...Object.fromEntries(options),
    })
    .catchall(thirdParty)
    .meta({ minProperties: 1 });
  return z.union([bareName, withOptions]).meta({
    id: "pipelineStep",
    description: "A plugin's name, or a mapping with it as its one plugin key.",
  });
}

/** Keywords that speak of a schema rather than restrict a value. */
const ANNOTATIONS = ["description", "default", "title", "examples"];

/** Lets `${…}` stand wherever a single value is restricted, and drops what this version refuses. */
function widened(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return schema;
  const result: Json = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "properties") result[keyword] = widenedMap(value as Json);
    else if (keyword === "$defs") result[keyword] = widenedMap(value as Json);
    else if (keyword === "items" || keyword === "additionalProperties") result[keyword] = widened(value);
    // An interpolated discriminator may fit several branches.
    else if (keyword === "anyOf" || keyword === "oneOf") result["anyOf"] = (value as unknown[]).map(widened);
    else if (keyword === "allOf" || keyword === "prefixItems")
      result[keyword] = (value as unknown[]).map(widened);
    else result[keyword] = value;
  }
  return restrictsScalar(result) ? orInterpolated(result) : result;
}

function widenedMap(schemas: Json): Json {
  const kept = Object.entries(schemas).filter(
    ([, schema]) => !(typeof schema === "object" && schema !== null && UNAVAILABLE in schema),
  );
  return Object.fromEntries(kept.map(([key, schema]) => [key, widened(schema)]));
}

const SCALARS: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean"]);

function restrictsScalar(schema: Json): boolean {
  if ("enum" in schema || "const" in schema) return true;
  const types = [schema["type"]].flat();
  if (!types.some((type) => SCALARS.has(type))) return false;
  const keywords = Object.keys(schema).filter((keyword) => !ANNOTATIONS.includes(keyword));
  return !types.includes("string") || keywords.length > 1;
}

function orInterpolated(schema: Json): Json {
  const annotations: Json = {};
  const restrictions: Json = {};
  for (const [keyword, value] of Object.entries(schema)) {
    (ANNOTATIONS.includes(keyword) ? annotations : restrictions)[keyword] = value;
  }
  return { ...annotations, anyOf: [restrictions, { $ref: `#/$defs/${INTERPOLATED}` }] };
}
