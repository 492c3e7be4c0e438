import { z } from "zod";
import { TOKEN } from "./headers.ts";

/**
 * Fields that frame a message or belong to one connection (RFC 9110 §7.6.1, §8.6, §10.1.1). The codecs and the
 * forwarder write and remove them; nothing that a plugin did to them would reach the wire.
 */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * For a plugin's schema: the name of a header field that the plugin reads, sets or removes. Any case is taken;
 * the answer is in lower case, as `HeaderList` wants it. Refused are what is no name, and the fields that frame
 * a message or belong to one connection.
 */
export function headerName() {
  return writtenName().overwrite((name) => name.toLowerCase());
}

/** For a plugin's schema: a map from names as {@link headerName} takes them to values of that schema. */
export function headerMap<Value extends z.ZodType>(value: Value) {
  return z
    .record(writtenName(), value)
    .superRefine((map, context) => {
      const seen = new Map<string, string>();
      for (const name of Object.keys(map)) {
        const before = seen.get(name.toLowerCase());
        if (before === undefined) seen.set(name.toLowerCase(), name);
        else
          context.addIssue({
            code: "custom",
            path: [name],
            message: `${name} is the same field as ${before} above`,
          });
      }
    })
    .overwrite((map) =>
      Object.fromEntries(Object.entries(map).map(([name, one]) => [name.toLowerCase(), one])),
    );
}

function writtenName() {
  return z
    .string()
    .refine((name) => TOKEN.test(name), { error: "expected the name of a header field", abort: true })
    .refine((name) => !CONNECTION_FIELDS.has(name.toLowerCase()), {
      error: (issue) => `${String(issue.input)} belongs to the connection and is written by the gateway`,
    });
}
