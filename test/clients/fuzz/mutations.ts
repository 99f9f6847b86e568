// Requests as clients and operators send them, changed at random: in the JSON, in the bytes, in path, query, method and headers. What the
// gateway must do with them is fuzz.test.ts.
import { gzipSync } from "node:zlib";
import fc, { type Arbitrary } from "fast-check";

export interface RawRequest {
  /** Of the request that it was made from. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** Its credential was left as it was. */
  readonly isAuthorized: boolean;
}

export interface BaseRequest {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: object;
}

type Mutation = (request: RawRequest) => RawRequest;

const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);
/** What no schema expects everywhere. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 60,
  "",
  " ",
  "💥\ud800",
  "x".repeat(10_000),
  "../../etc",
  "\u0000\u202e",
  "{}",
  [],
  [[]],
  [null],
  {},
  { a: { b: {} } },
  JSON.parse('{"__proto__":{"polluted":true}}'),
  deep(100),
];

const MAX_REPEATED_CHARS = 2000;

function pathsOf(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  const own = path.length === 0 ? [] : [[...path]];
  if (Array.isArray(value)) return [...own, ...value.flatMap((item, at) => pathsOf(item, [...path, at]))];
  if (typeof value !== "object" || value === null) return own;
  return [...own, ...Object.entries(value).flatMap(([name, item]) => pathsOf(item, [...path, name]))];
}

const readJson = ({ body }: RawRequest): unknown => {
  try {
    return JSON.parse(Buffer.from(body ?? []).toString());
  } catch {
    return undefined;
  }
};

/** Changes one member of the JSON by `change`; what is not JSON any more stays as it is. */
function changeMember(
  pick: number,
  change: (holder: Record<string | number, unknown>, name: string | number) => void,
): Mutation {
  return (request) => {
    const json = readJson(request);
    const paths = pathsOf(json);
    const path = paths[Math.floor(pick * paths.length)];
    if (path === undefined) return request;
    const last = path.at(-1) ?? "";
    // Every step of a path was read off this very value.
    const holder = path
      .slice(0, -1)
      .reduce((at, name) => (at as Record<string | number, unknown>)[name], json);
    change(holder as Record<string | number, unknown>, last);
    return { ...request, body: Buffer.from(JSON.stringify(json)) };
  };
}

const share = fc.double({ min: 0, max: 0.999_999, noNaN: true });

const jsonMutation: Arbitrary<Mutation> = fc.oneof(
  fc
    .tuple(share, fc.constantFrom(...VALUES))
    .map(([pick, value]) => changeMember(pick, (holder, name) => (holder[name] = value))),
  share.map((pick) =>
    changeMember(pick, (holder, name) => {
      if (Array.isArray(holder)) holder.splice(Number(name), 1);
      else delete holder[name];
    }),
  ),
  fc
    .tuple(
      share,
      fc.constantFrom<string>("__proto__", "constructor", "x", "n", "stream", "tools", "cache_control"),
    )
    .map(([pick, extra]) => changeMember(pick, (holder, name) => (holder[extra] = holder[name]))),
  share.map((pick) =>
    changeMember(pick, (holder, name) => {
      const value = holder[name];
      // Twice would be 40,000 of them: a body that large is cut off, which is another test's matter.
      if (JSON.stringify(value).length < MAX_REPEATED_CHARS)
        holder[name] = Array.from({ length: 200 }, () => value);
    }),
  ),
);

const byteMutation: Arbitrary<Mutation> = fc.oneof(
  share.map((at): Mutation => (request) => ({
    ...request,
    body: request.body?.subarray(0, Math.floor(at * request.body.length)),
  })),
  fc.tuple(share, fc.integer({ min: 0, max: 255 })).map(([at, byte]): Mutation => (request) => {
    const body = Uint8Array.from(request.body ?? []);
    if (body.length > 0) body[Math.floor(at * body.length)] = byte;
    return { ...request, body };
  }),
  fc
    .constantFrom("", "null", "[]", '"x"', "{", "{}{}", "\ufeff{}", "a=b&c=d", "--x\r\n")
    .map((text): Mutation => (request) => ({ ...request, body: Buffer.from(text) })),
);

const pathMutation: Arbitrary<Mutation> = fc.oneof(
  fc
    .constantFrom(
      "/",
      "//",
      "/..",
      "/%2e%2e/admin",
      "/%2F",
      "%00",
      "%ff",
      "/" + "a".repeat(3000),
      ";x",
      "?",
      "?key=1&key=2",
      "?alt=sse",
      "?limit=-1&since=never",
      "#x",
      "/x:y",
    )
    .map((more): Mutation => (request) => ({ ...request, path: request.path + more })),
  fc
    .tuple(share, fc.constantFrom("%", "%2e", "..", "/", ":", "\\", "é", ""))
    .map(([at, text]): Mutation => (request) => {
      const cut = 1 + Math.floor(at * (request.path.length - 1));
      return { ...request, path: request.path.slice(0, cut) + text + request.path.slice(cut) };
    }),
);

const methodMutation: Arbitrary<Mutation> = fc
  .constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE")
  .map((method): Mutation => (request) => ({ ...request, method }));

const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  [
    "content-type",
    [
      "text/plain",
      "application/json; charset=utf-16",
      "multipart/form-data",
      "multipart/form-data; boundary=x",
      "",
      "a/b/c",
    ],
  ],
  ["content-encoding", ["gzip", "br", "zstd", "identity", "x"]],
  ["accept", ["text/plain", "text/event-stream", "*/*;q=2", ""]],
  ["x-headgate-cache", ["on", "off", "refresh", "only-if-cached", "x"]],
  ["x-headgate-cache-ttl", ["-1", "0", "1e9", "x"]],
  ["x-headgate-max-wait-ms", ["0", "-1", "1e99", "x"]],
  ["x-headgate-timeout-ms", ["0", "1", "-1", "x"]],
  ["x-headgate-metadata", ["{}", "[]", "x", '{"a":{"b":1}}', `{"k":"${"x".repeat(300)}"}`]],
  ["x-headgate-target", ["up/answered", "nowhere/x", "/", "%ff"]],
  ["x-headgate-lane", ["batch", "x"]],
  ["x-headgate-lenient", ["1", "x"]],
  ["x-headgate-session", ["s", "x".repeat(1000)]],
  ["x-headgate-end-user", ["ada", "x".repeat(1000)]],
  ["idempotency-key", ["k", "", "x".repeat(5000)]],
  ["traceparent", ["00-0-0-0", "ff-" + "a".repeat(32) + "-" + "b".repeat(16) + "-01", "x"]],
  ["if-match", ['"1"', "*", "x"]],
  ["origin", ["https://evil.example", "null"]],
  ["host", ["evil.example", "localhost"]],
  ["range", ["bytes=0-1"]],
  ["cookie", ["a=b"]],
  ["x-forwarded-for", ["::1"]],
  ["anthropic-beta", ["x", "a,b,c"]],
  ["anthropic-version", ["1", "2023-06-01"]],
];

const headerMutation: Arbitrary<Mutation> = fc
  .constantFrom(...HEADERS.flatMap(([name, values]) => values.map((value) => [name, value] as const)))
  .map(([name, value]): Mutation => (request) => ({
    ...request,
    headers: { ...request.headers, [name]: value },
  }));

const zipped: Arbitrary<Mutation> = fc.constant((request: RawRequest) => ({
  ...request,
  headers: { ...request.headers, "content-encoding": "gzip" },
  body: gzipSync(request.body ?? new Uint8Array()),
}));

const credentialMutation: Arbitrary<Mutation> = fc
  .constantFrom("", "Bearer", "Bearer hg_x", "Basic eDp5", "Bearer a b", "hg_" + "a".repeat(500))
  .map((authorization): Mutation => (request) => ({
    ...request,
    headers: { ...request.headers, authorization },
    isAuthorized: false,
  }));

/** Mutated requests, one to four changes each. */
export function mutated(bases: readonly BaseRequest[]): Arbitrary<RawRequest> {
  const mutation = fc.oneof(
    { weight: 8, arbitrary: jsonMutation },
    { weight: 2, arbitrary: byteMutation },
    { weight: 2, arbitrary: pathMutation },
    { weight: 1, arbitrary: methodMutation },
    { weight: 3, arbitrary: headerMutation },
    { weight: 1, arbitrary: zipped },
    { weight: 1, arbitrary: credentialMutation },
  );
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
  return fc.tuple(fc.constantFrom(...bases), mutations).map(([{ body, ...base }, changes]) =>
    changes.reduce<RawRequest>((request, change) => change(request), {
      ...base,
      body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
      isAuthorized: true,
    }),
  );
}
