/** What the JSON origin wants: 2,048 bytes. */
export const JSON_REQUEST: Uint8Array = padded(
  {
    model: "example-large",
    temperature: 0.2,
    tags: ["alpha", "beta", "gamma"],
    customer: { id: 48_213, name: "Ada Example", country: "NL", active: true },
    items: Array.from({ length: 12 }, (_, i) => ({
      sku: `SKU-${1_000 + i}`,
      quantity: i + 1,
      price: 19.99 + i,
    })),
  },
  2_048,
);

/** And answers: 300 bytes. */
export const JSON_ANSWER: Uint8Array = padded(
  { id: "order-48213-000017", status: "accepted", total: 317.88, currency: "EUR", lines: 12 },
  300,
);

/** A value with a text that makes it so many bytes. */
function padded(value: object, bytes: number): Uint8Array {
  const short = JSON.stringify({ ...value, text: "" }).length;
  return Buffer.from(
    JSON.stringify({ ...value, text: "lorem ipsum ".repeat(bytes).slice(0, bytes - short) }),
  );
}
