import {
  definePlugin,
  type Exchange,
  exchangeOf,
  headerMap,
  headerName,
  type HeaderList,
} from "sluice/plugin";
import { z } from "zod";
import { compileTemplate, type Template, TemplateError } from "./template.ts";

const value = () =>
  z.string().superRefine((text, context) => {
    try {
      compileTemplate(text);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      context.addIssue({ code: "custom", message: error.message });
    }
  });

const changes = (direction: string) =>
  z
    .strictObject({
      remove: z.array(headerName()).default([]).describe("Fields to take away, before anything is set."),
      set: headerMap(value())
        .default({})
        .describe("Fields that have this value and no other; one whose value comes out empty is removed."),
      add: headerMap(value())
        .default({})
        .describe(
          "Fields to add beside those of the same name; one whose value comes out empty is not added.",
        ),
    })
    .prefault({})
    .describe(`What happens to the header of the ${direction}.`);

const schema = z.strictObject({ request: changes("request"), response: changes("answer") });

type Changes = z.output<ReturnType<typeof changes>>;

export default definePlugin({
  apiVersion: 1,
  name: "headers",
  description:
    "Sets, adds and removes header fields of requests and answers; values may hold facts of the request.",
  schema,
  setup({ request, response }) {
    const toRequest = compileChanges(request);
    const toResponse = compileChanges(response);
    return {
      async handle(c, next) {
        const exchange = exchangeOf(c);
        toRequest?.(exchange.request.headers, exchange);
        await next();
        if (toResponse !== undefined && exchange.response !== undefined)
          toResponse(exchange.response.headers, exchange);
      },
    };
  },
});

type Change = (headers: HeaderList, exchange: Exchange) => void;

function compileChanges({ remove, set, add }: Changes): Change | undefined {
  const toSet = compileValues(set);
  const toAdd = compileValues(add);
  if (remove.length + toSet.length + toAdd.length === 0) return undefined;
  return (headers, exchange) => {
    for (const name of remove) headers.delete(name);
    for (const [name, template] of toSet) {
      const text = template(exchange);
      // A client's own field of that name must not pass for what was to be said here.
      if (text === "") headers.delete(name);
      else headers.set(name, text);
    }
    for (const [name, template] of toAdd) {
      const text = template(exchange);
      if (text !== "") headers.append(name, text);
    }
  };
}

function compileValues(values: Readonly<Record<string, string>>): [name: string, template: Template][] {
  return Object.entries(values).map(([name, text]) => [name, compileTemplate(text)]);
}
