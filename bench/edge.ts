/**
 * What every contender adds to answers in the `pipeline` scenario: the defaults of Sluice's `security-headers` and one
 * more. Values have no quotes, so that they fit in every configuration.
 */
export const EDGE_HEADERS: readonly (readonly [string, string])[] = [
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  ["referrer-policy", "no-referrer"],
  [
    "permissions-policy",
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
  ],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
  ["x-permitted-cross-domain-policies", "none"],
  ["x-served-by", "edge"],
];

/** What every contender sets on the request besides a request id. */
export const EDGE_REQUEST_HEADER = ["x-edge", "front-1"] as const;
