import type { AnyPlugin } from "sluice/plugin";
import { z } from "zod";
import { type Command, didYouMean, EXIT, JSON_OPTION, parse } from "./command.ts";

export const plugins: Command = {
  name: "plugins",
  usage: "plugins [NAME] [--json]",
  summary: "lists the built-in plugins with their options and defaults",
  options: JSON_OPTION,
  run(args, { out, err, builtins }) {
    const { values, positionals } = parse(args, JSON_OPTION, 1);
    const wanted = positionals[0];
    const shown = wanted === undefined ? builtins : builtins.filter((plugin) => plugin.name === wanted);
    if (wanted !== undefined && shown.length === 0) {
      const hint = didYouMean(
        wanted,
        builtins.map((plugin) => plugin.name),
      );
      err(`sluice: there is no built-in plugin ${JSON.stringify(wanted)}${hint}`);
      return Promise.resolve(EXIT.failed);
    }
    if (values.json === true) out(JSON.stringify(shown.map(asData), null, 2));
    else out(shown.map(asText).join("\n\n"));
    return Promise.resolve(EXIT.ok);
  },
};

interface OptionFacts {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly default: unknown;
  readonly description: string;
}

function asData(plugin: AnyPlugin): object {
  const { name, description, apiVersion } = plugin;
  return { name, description, apiVersion, options: optionsOf(plugin) };
}

function asText(plugin: AnyPlugin): string {
  const options = optionsOf(plugin);
  const width = Math.max(0, ...options.map((option) => option.name.length));
  const lines = options.map((option) => {
    const fallback = option.default === undefined ? "" : `, default ${JSON.stringify(option.default)}`;
    const facts = `${option.type}${option.required ? ", required" : fallback}`;
    return `    ${option.name.padEnd(width)}  ${option.description} (${facts})`;
  });
  return [`${plugin.name}: ${plugin.description}`, ...lines].join("\n");
}

/** A plugin's options, nested ones as `outer.inner`, read from the JSON Schema of its zod schema. */
function optionsOf(plugin: AnyPlugin): OptionFacts[] {
  return describe(z.toJSONSchema(plugin.schema, { io: "input", unrepresentable: "any" }), "");
}

function describe(schema: z.core.JSONSchema._JSONSchema, prefix: string): OptionFacts[] {
  if (typeof schema === "boolean" || schema.properties === undefined) return [];
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).flatMap(([key, property]) => {
    const facts = typeof property === "boolean" ? {} : property;
    const name = prefix + key;
    const own: OptionFacts = {
      name,
      type: typeName(facts),
      required: required.has(key),
      default: facts.default,
      description: facts.description ?? "",
    };
    return [own, ...describe(facts, `${name}.`)];
  });
}

function typeName(schema: z.core.JSONSchema.JSONSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined)
    return choices.map((choice) => (typeof choice === "boolean" ? "any" : typeName(choice))).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") {
    const items = Array.isArray(schema.items) ? undefined : schema.items;
    return `list of ${items === undefined || typeof items === "boolean" ? "any" : typeName(items)}`;
  }
  if (schema.type === "object") return "map";
  if (Array.isArray(schema.type)) return schema.type.join(" | ");
  return schema.type ?? "any";
}
