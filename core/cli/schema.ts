import { jsonSchema } from "../../config/index.ts";
import { type Command, EXIT, parse } from "./command.ts";

export const schema: Command = {
  name: "schema",
  usage: "schema",
  summary: "prints the JSON Schema of the configuration, plugins included",
  options: {},
  run(args, { out, builtins }) {
    parse(args, schema.options);
    out(JSON.stringify(jsonSchema(builtins), null, 2));
    return Promise.resolve(EXIT.ok);
  },
};
