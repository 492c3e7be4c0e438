import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type ConnectionFacts, HeaderList, type HttpVersion, SluiceError } from "sluice/plugin";
import { admitRequestHeaders } from "./admit.ts";
import { authorityOf, createHeaderRules, type Outgoing } from "./header-rules.ts";

type Fields = readonly (readonly [name: string, value: string])[];

const rules = createHeaderRules("gate-1");

interface Client {
  readonly peer?: string;
  readonly localPort?: number;
  readonly authority?: string;
  readonly scheme?: "http" | "https";
  readonly version?: HttpVersion;
  readonly trusted?: boolean;
  /** What steps of the pipeline do to the fields. */
  readonly step?: (headers: HeaderList) => void;
}

function outgoing(headers: HeaderList, client: Client): Outgoing {
  const connection: ConnectionFacts = {
    socketAddress: client.peer ?? "203.0.113.7",
    socketPort: 4711,
    peerAddress: client.peer ?? "203.0.113.7",
    peerPort: 4711,
    localAddress: "192.0.2.1",
    localPort: client.localPort ?? 8080,
    tls: undefined,
  };
  const request = {
    method: "GET",
    rawTarget: "/",
    scheme: client.scheme ?? "http",
    authority: client.authority ?? "example.com",
    path: "/",
    search: "",
    headers,
    body: null,
  };
  return { request, connection, httpVersion: client.version ?? "1.1" };
}

/** What an upstream gets of a client's fields. */
function passed(fields: Fields, client: Client = {}): HeaderList {
  const headers = HeaderList.from(fields);
  admitRequestHeaders(headers, client.trusted ?? false);
  client.step?.(headers);
  return rules.request(outgoing(headers, client));
}

/** The same without what every request gets. */
function endToEnd(fields: Fields, client: Client = {}): Fields {
  return [...passed(fields, client)].filter(([name]) => !/^(?:via|forwarded|x-forwarded-\w+)$/.test(name));
}

function refusal(fields: Fields): SluiceError | undefined {
  try {
    admitRequestHeaders(HeaderList.from(fields), false);
    return undefined;
  } catch (error) {
    return error as SluiceError;
  }
}

describe("a request's hop-by-hop fields", () => {
  test.each<[string, Fields]>([
    ["RFC 9110 §7.6.1: connection", [["connection", "close"]]],
    ["RFC 9110 §7.6.1: keep-alive", [["keep-alive", "timeout=5"]]],
    ["RFC 9110 §7.6.1: proxy-connection", [["proxy-connection", "keep-alive"]]],
    ["RFC 9110 §7.6.1: transfer-encoding", [["transfer-encoding", "chunked"]]],
    ["RFC 9110 §7.8: upgrade", [["upgrade", "websocket"]]],
    ["RFC 9110 §6.6.2: trailer", [["trailer", "x-sum"]]],
    ["RFC 9113 §3.1: http2-settings", [["http2-settings", "AAMAAABk"]]],
    ["RFC 9110 §10.1.1: expect", [["expect", "100-continue"]]],
    ["RFC 9110 §10.1.4: te with codings", [["te", "gzip, deflate;q=0.5"]]],
    [
      "what connection names",
      [
        ["connection", "x-a"],
        ["x-a", "1"],
      ],
    ],
    [
      "named in any letter case and spacing",
      [
        ["connection", "close ,\tX-A"],
        ["x-a", "1"],
      ],
    ],
    [
      "named before and in several lines",
      [
        ["x-a", "1"],
        ["x-b", "2"],
        ["connection", "x-a"],
        ["connection", "x-b, te"],
      ],
    ],
  ])("%s: do not pass", (_, fields) => {
    expect(endToEnd([["accept", "*/*"], ...fields, ["x-z", "1"]])).toEqual([
      ["accept", "*/*"],
      ["x-z", "1"],
    ]);
  });

  test.each(["trailers", "Trailers", "gzip, trailers", "trailers, deflate;q=0.5"])(
    "te: %s passes as trailers (RFC 9110 §10.1.4)",
    (te) => {
      const fields: Fields = [
        ["connection", "te"],
        ["te", te],
        ["te", te],
      ];
      expect(endToEnd(fields)).toEqual([["te", "trailers"]]);
    },
  );

  test("that a step sets do not pass either", () => {
    const step = (headers: HeaderList) => {
      for (const name of ["connection", "upgrade", "transfer-encoding", "content-length", "te", "expect"])
        headers.set(name, "x");
      headers.set("x-step", "1");
    };
    expect(endToEnd([["accept", "*/*"]], { step })).toEqual([
      ["accept", "*/*"],
      ["x-step", "1"],
    ]);
  });

  test("cannot remove what a step adds", () => {
    const step = (headers: HeaderList) => headers.set("x-consumer", "team-a");
    const fields: Fields = [
      ["connection", "x-consumer"],
      ["x-consumer", "forged"],
    ];
    expect(endToEnd(fields, { step })).toEqual([["x-consumer", "team-a"]]);
  });
});

describe("a Connection field that names a field meant for everybody (RFC 9110 §7.6.1)", () => {
  test.each([
    "authorization",
    "Cookie",
    "host",
    "via",
    "forwarded",
    "x-forwarded-for",
    "X-Forwarded-Proto",
    "x-real-ip",
    "x-forwarded-anything",
    "content-length",
    "content-type",
    "cache-control",
    "proxy-authorization",
    ":path",
    "x-api-key",
    "close, keep-alive, Authorization",
  ])("%s is refused", (option) => {
    expect(refusal([["connection", option]])).toMatchObject({
      code: "bad_request",
      reason: "connection_header",
    });
  });

  test("others are not", () => {
    expect(refusal([["connection", "keep-alive, Upgrade, HTTP2-Settings, x-mine"]])).toBeUndefined();
  });
});

test("an expectation that is unknown is refused (RFC 9110 §10.1.1)", () => {
  expect(refusal([["expect", "200-ok"]])).toMatchObject({ code: "expectation_failed", status: 417 });
  expect(refusal([["expect", "100-Continue"]])).toBeUndefined();
});

test("the pieces of a cookie are joined (RFC 9113 §8.2.3)", () => {
  const fields: Fields = [
    ["cookie", "a=1"],
    ["accept", "*/*"],
    ["cookie", "b=2"],
    ["cookie", "c=3"],
  ];
  expect(endToEnd(fields)).toEqual([
    ["cookie", "a=1; b=2; c=3"],
    ["accept", "*/*"],
  ]);
});

test("nothing else is touched, dropped, merged or invented", () => {
  const fields: Fields = [
    ["x-dup", "1"],
    ["content-encoding", "gzip"],
    ["x-dup", "2"],
    ["x-empty", ""],
    ["x-latin1", "\xe9"],
    ["authorization", "Bearer x"],
    ["grpc-timeout", "5S"],
    ["x-forwarded", "x"],
  ];
  expect(endToEnd(fields)).toEqual(fields);
  expect(endToEnd([])).toEqual([]);
});

describe("Via (RFC 9110 §7.6.3)", () => {
  test.each<[HttpVersion, string]>([
    ["1.0", "1.0 gate-1"],
    ["1.1", "1.1 gate-1"],
    ["2", "2 gate-1"],
  ])("tells that the request came over HTTP/%s", (version, expected) => {
    expect(passed([], { version }).all("via")).toEqual([expected]);
  });

  test("goes after those of others", () => {
    expect(passed([["via", "1.1 first, 2 second"]]).joined("via")).toBe("1.1 first, 2 second, 1.1 gate-1");
  });

  test("a request that was here before is refused (RFC 9110 §7.6.3)", () => {
    for (const via of ["1.1 gate-1", "1.1 first, 2 gate-1 (comment), 1.1 third", "1.0\tgate-1"])
      expect(() => passed([["via", via]])).toThrow(
        expect.objectContaining({ code: "loop_detected", status: 508 }),
      );
    // Another one, and our name where no name stands.
    for (const via of ["1.1 gate-12", "1.1 my-gate-1", "1.1 other (gate-1)", "gate-1 other"])
      expect(passed([["via", via]]).joined("via")).toBe(`${via}, 1.1 gate-1`);
  });
});

describe("forwarding fields from an untrusted peer", () => {
  const forged: Fields = [
    ["x-forwarded-for", "6.6.6.6"],
    ["x-forwarded-proto", "https"],
    ["x-forwarded-host", "evil.example"],
    ["x-forwarded-port", "1"],
    ["x-forwarded-user", "root"],
    ["x-real-ip", "6.6.6.6"],
    ["forwarded", "for=6.6.6.6"],
  ];

  test("are replaced", () => {
    expect([...passed(forged)]).toEqual([
      ["x-forwarded-for", "203.0.113.7"],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-host", "example.com"],
      ["x-forwarded-port", "8080"],
      ["forwarded", "for=203.0.113.7;host=example.com;proto=http"],
      ["via", "1.1 gate-1"],
    ]);
  });

  test("tell the scheme and port of TLS", () => {
    const headers = passed([], { scheme: "https", localPort: 443, authority: "example.com:8443" });
    expect(headers.get("x-forwarded-proto")).toBe("https");
    expect(headers.get("x-forwarded-port")).toBe("443");
    expect(headers.get("x-forwarded-host")).toBe("example.com:8443");
    expect(headers.get("forwarded")).toBe('for=203.0.113.7;host="example.com:8443";proto=https');
  });

  test("write IPv6 as RFC 7239 §6 wants it", () => {
    const headers = passed([], { peer: "2001:db8::1", authority: "[::1]:80" });
    expect(headers.get("x-forwarded-for")).toBe("2001:db8::1");
    expect(headers.get("forwarded")).toBe('for="[2001:db8::1]";host="[::1]:80";proto=http');
  });

  test("escape what would end a quoted string (RFC 9110 §5.6.4)", () => {
    expect(passed([], { authority: 'a";for=6.6.6.6\\' }).get("forwarded")).toBe(
      'for=203.0.113.7;host="a\\";for=6.6.6.6\\\\";proto=http',
    );
  });

  test("name no address and no port for a unix socket, and no host where none was named", () => {
    expect([...passed(forged, { peer: "unix", localPort: 0, authority: "" })]).toEqual([
      ["x-forwarded-proto", "http"],
      ["forwarded", "for=unknown;proto=http"],
      ["via", "1.1 gate-1"],
    ]);
  });

  test("that a step sets are kept", () => {
    const step = (headers: HeaderList) => {
      headers.set("x-forwarded-proto", "https");
      headers.set("x-forwarded-user", "alice");
    };
    const headers = passed(forged, { step });
    expect(headers.all("x-forwarded-proto")).toEqual(["https"]);
    expect(headers.all("x-forwarded-user")).toEqual(["alice"]);
    expect(headers.get("x-forwarded-for")).toBe("203.0.113.7");
  });
});

describe("forwarding fields from a trusted proxy", () => {
  test("X-Forwarded-For is appended to; the client's scheme, host and port stay", () => {
    const fields: Fields = [
      ["x-forwarded-for", "192.0.2.1"],
      ["x-forwarded-proto", "https"],
      ["x-forwarded-for", "198.51.100.2"],
      ["x-forwarded-host", "shop.example"],
      ["x-forwarded-port", "443"],
      ["x-real-ip", "192.0.2.1"],
    ];
    expect([...passed(fields, { trusted: true })]).toEqual([
      ["x-forwarded-proto", "https"],
      ["x-forwarded-host", "shop.example"],
      ["x-forwarded-port", "443"],
      ["x-real-ip", "192.0.2.1"],
      ["x-forwarded-for", "192.0.2.1, 198.51.100.2, 203.0.113.7"],
      ["via", "1.1 gate-1"],
    ]);
  });

  test("Forwarded is appended to (RFC 7239 §4)", () => {
    const fields: Fields = [
      ["forwarded", "for=192.0.2.1;proto=https"],
      ["forwarded", "for=198.51.100.2"],
    ];
    expect([...passed(fields, { trusted: true })]).toEqual([
      [
        "forwarded",
        "for=192.0.2.1;proto=https, for=198.51.100.2, for=203.0.113.7;host=example.com;proto=http",
      ],
      ["via", "1.1 gate-1"],
    ]);
  });

  test("both go on where both came, and both begin where none came", () => {
    const both = passed(
      [
        ["x-forwarded-for", "192.0.2.1"],
        ["forwarded", "for=192.0.2.1"],
      ],
      { trusted: true },
    );
    expect(both.get("x-forwarded-for")).toBe("192.0.2.1, 203.0.113.7");
    expect(both.get("forwarded")).toBe("for=192.0.2.1, for=203.0.113.7;host=example.com;proto=http");
    const none = passed([], { trusted: true });
    expect(none.get("x-forwarded-for")).toBe("203.0.113.7");
    expect(none.get("forwarded")).toStartWith("for=203.0.113.7;");
  });

  test("pass through a unix socket without an address of ours", () => {
    const headers = passed([["x-forwarded-for", "192.0.2.1"]], { trusted: true, peer: "unix" });
    expect(headers.get("x-forwarded-for")).toBe("192.0.2.1");
  });
});

test("Max-Forwards is counted down for OPTIONS and TRACE alone (RFC 9110 §7.6.2)", () => {
  const value = (method: string, sent: string) => {
    const x = outgoing(HeaderList.from([["max-forwards", sent]]), {});
    x.request.method = method;
    return rules.request(x).get("max-forwards");
  };
  expect(value("OPTIONS", "10")).toBe("9");
  expect(value("TRACE", "1")).toBe("0");
  expect(value("OPTIONS", "many")).toBe("many");
  expect(value("GET", "10")).toBe("10");
});

test("the authority is what the client sent, or a Host that a step set", () => {
  const { request } = outgoing(new HeaderList(), { authority: "Example.com:8080" });
  expect(authorityOf(request)).toBe("Example.com:8080");
  request.headers.set("host", "internal");
  expect(authorityOf(request)).toBe("internal");
  expect(endToEnd([], { step: (headers) => headers.set("host", "internal") })).toEqual([]);
});

describe("an answer", () => {
  function answered(fields: Fields, version: "1.1" | "2" = "1.1"): Fields {
    const headers = HeaderList.from(fields);
    rules.response(200, headers, version);
    return [...headers];
  }

  test("loses its hop-by-hop fields and gets Via; everything else stays as it was", () => {
    expect(
      answered([
        ["date", "Mon"],
        ["connection", "x-hop, close"],
        ["x-hop", "1"],
        ["keep-alive", "timeout=5"],
        ["proxy-connection", "close"],
        ["transfer-encoding", "chunked"],
        ["trailer", "x-sum"],
        ["upgrade", "h2c"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["content-encoding", "gzip"],
        ["etag", '"strong"'],
        ["content-length", "12"],
        ["location", "http://internal/x"],
        ["via", "1.0 cache"],
      ]),
    ).toEqual([
      ["date", "Mon"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["content-encoding", "gzip"],
      ["etag", '"strong"'],
      ["content-length", "12"],
      ["location", "http://internal/x"],
      ["via", "1.0 cache"],
      ["via", "1.1 gate-1"],
    ]);
    expect(answered([], "2")).toEqual([["via", "2 gate-1"]]);
  });

  test("that is informational loses its hop-by-hop fields", () => {
    const headers = HeaderList.from([
      ["link", "</a>"],
      ["connection", "close"],
    ]);
    rules.inform(headers);
    expect([...headers]).toEqual([["link", "</a>"]]);
  });
});

test("whatever a client sends, no hop-by-hop field and no forged address passes", () => {
  const hop = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "trailer",
    "expect",
  ];
  const names = [...hop, "te", "x-a", "x-b", "x-forwarded-for", "forwarded", "x-real-ip", "accept", "cookie"];
  const fields = fc.array(
    fc.tuple(
      fc.constantFrom(...names),
      fc.constantFrom("6.6.6.6", "x-a", "X-B, close", "trailers", "for=6.6.6.6"),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(fields, (sent) => {
      let out: HeaderList;
      try {
        out = passed(sent);
      } catch (error) {
        expect(error).toBeInstanceOf(SluiceError);
        return;
      }
      for (const name of hop) expect(out.has(name)).toBe(false);
      expect(out.all("x-forwarded-for")).toEqual(["203.0.113.7"]);
      expect(out.all("forwarded")).toEqual(["for=203.0.113.7;host=example.com;proto=http"]);
      expect(out.has("x-real-ip")).toBe(false);
      const named = sent.filter(([name]) => name === "connection").map(([, value]) => value.toLowerCase());
      for (const name of ["x-a", "x-b"]) {
        const kept = named.some((value) => value.includes(name)) ? [] : sent.filter(([n]) => n === name);
        expect(out.all(name)).toEqual(kept.map(([, value]) => value));
      }
    }),
    { numRuns: 1_000 },
  );
});
