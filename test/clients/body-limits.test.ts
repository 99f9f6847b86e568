// Request bodies that are too slow, too deep, of too many values or parts, or larger than the gateway reads: each is refused with the
// limit's name, in every wire and on the admin plane, and the client gets to see the answer.
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { TEST_VARS } from "../support/clients/admin-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";

let stack: GatewayStack;
let tenant: TestTenant;
/** Begun before all tests, which run while the time of these bodies passes. */
let stalled: Promise<readonly Stalled[]>;
beforeAll(async () => {
  stack = await startGatewayStack();
  tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  stalled = stallEverywhere();
});
afterAll(() => stack.close());

const words = [{ role: "user", content: "hi" }];
/** Of each route that reads JSON: a body that it takes but for what a test adds to it. */
const DATA_ROUTES: readonly (readonly [string, object])[] = [
  ["/v1/chat/completions", { messages: words }],
  ["/v1/responses", { input: "hi" }],
  ["/v1/messages", { max_tokens: 5, messages: words }],
  ["/v1/messages/count_tokens", { messages: words }],
  ["/v1/embeddings", { input: "hi" }],
  ["/v1beta/models/up/{model}:generateContent", { contents: [{ parts: [{ text: "hi" }] }] }],
  ["/v1beta/models/up/{model}:countTokens", { contents: [{ parts: [{ text: "hi" }] }] }],
  ["/v1/images/generations", { prompt: "hi" }],
  ["/v1/audio/speech", { input: "hi", voice: "alloy" }],
  ["/v1/moderations", { input: "hi" }],
  ["/v1/rerank", { query: "hi", documents: ["a"] }],
  ["/proxy/up/chat/completions", { messages: words }],
];
const ADMIN_ROUTES: readonly (readonly [string, string])[] = [
  ["PUT", "/admin/tenants/bounded"],
  ["PATCH", "/admin/tenants/{tenant}"],
  ["POST", "/admin/tenants/{tenant}/keys"],
  ["PUT", "/admin/tenants/{tenant}/providers/p"],
  ["PUT", "/admin/tenants/{tenant}/routes/r"],
  ["POST", "/admin/tenants/{tenant}/queue/limits"],
  ["POST", "/admin/tenants/{tenant}/queue/drain"],
];

const filled = (path: string, model = "m"): string =>
  path.replace("{model}", model).replace("{tenant}", tenant.id);
const gatewayKey = (): string => `Bearer ${tenant.key}`;
const adminToken = `Bearer ${TEST_VARS["ADMIN_TOKEN"]}`;

async function send(
  method: string,
  path: string,
  authorization: string,
  body: BodyInit,
  type = "application/json",
) {
  const response = await fetch(stack.gateway.url + path, {
    method,
    headers: { authorization, "content-type": type },
    body,
    ...(body instanceof ReadableStream && { duplex: "half" }),
  });
  return { status: response.status, text: await response.text() };
}

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;
/** The body's own braces are the first level. */
const DEEP = `"x":${nested(128)}`;
const MANY_MEMBERS = `"x":{${Array.from({ length: 100_001 }, (_, at) => `"${at}":0`).join(",")}}`;
const MANY_VALUES = `"x":[${"0,".repeat(400_000)}0]`;
const EXCESSES = [
  ["nests too deep", DEEP, "128 levels"],
  ["has too many members", MANY_MEMBERS, "100000 members"],
  ["has too many values", MANY_VALUES, "400000 members and array items"],
] as const;

describe.each(EXCESSES)("a body that %s", (_, more, limit) => {
  test.each(DATA_ROUTES)("is a 400 on %s", async (path, body) => {
    const model = uniqueModel();
    const text = JSON.stringify({ model: `up/${model}`, ...body }).replace(/\}$/, `,${more}}`);
    const answer = await send("POST", filled(path, model), gatewayKey(), text);
    expect(answer.status, answer.text).toBe(400);
    expect(answer.text).toContain(limit);
    expect(stack.upstream.requestsFor(model)).toEqual([]);
  });

  test.each(ADMIN_ROUTES)("is a 400 at %s %s", async (method, path) => {
    const answer = await send(method, filled(path), adminToken, `{${more}}`);
    expect(answer.status, answer.text).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ code: "invalid_request", param: "body" });
    expect(answer.text).toContain(limit);
  });
});

test("the deepest body that is read goes to the upstream", async () => {
  const model = uniqueModel();
  const text = `{"model":"up/${model}","messages":[{"role":"user","content":"hi"}],"metadata":${nested(127)}}`;
  const answer = await send("POST", "/v1/chat/completions", gatewayKey(), text);
  expect(answer.text).not.toContain("levels");
});

describe("a form", () => {
  const form = (parts: number, boundary: string): string =>
    `${`--${boundary}\r\ncontent-disposition: form-data; name="timestamp_granularities[]"\r\n\r\nword\r\n`.repeat(parts - 1)}--${boundary}\r\ncontent-disposition: form-data; name="model"\r\n\r\nup/form-model\r\n--${boundary}--\r\n`;

  test.each([
    ["multipart/form-data; boundary=b-1", "b-1"],
    ['multipart/form-data; boundary="a b:c"', "a b:c"],
    ["Multipart/Form-Data; charset=utf-8; BOUNDARY=b-1", "b-1"],
  ])("of 101 parts is a 400, of 100 it is read (%s)", async (type, boundary) => {
    const path = "/v1/audio/transcriptions";
    const refused = await send("POST", path, gatewayKey(), form(101, boundary), type);
    expect(refused.status, refused.text).toBe(400);
    expect(refused.text).toContain("100 parts");
    const read = await send("POST", path, gatewayKey(), form(100, boundary), type);
    expect(read.status, read.text).toBe(200);
  });
});

interface Stalled {
  readonly path: string;
  readonly how: string;
  readonly text: string;
}

/** Sends a head and the start of a body over a plain connection, and stops there. Resolves with all that came back. */
function stall(
  method: string,
  path: string,
  authorization: string,
  how: string,
  more: readonly string[],
  start: Buffer | string,
): Promise<Stalled> {
  const { hostname, port } = new URL(stack.gateway.url);
  const head = [
    `${method} ${path} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    `authorization: ${authorization}`,
    "content-type: application/json",
    ...more,
  ];
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => {
      socket.write(`${head.join("\r\n")}\r\n\r\n`);
      socket.write(start);
    });
    socket.on("data", (piece) => (text += piece.toString("latin1")));
    socket.on("close", () => resolve({ path, how, text }));
    socket.on("error", () => {});
  });
}

function stallEverywhere(): Promise<readonly Stalled[]> {
  const chunked = "transfer-encoding: chunked";
  const gzip = "content-encoding: gzip";
  const half = '{"model":"up/stalled",';
  const zipped = gzipSync(JSON.stringify({ model: "up/stalled", messages: words })).subarray(0, 0x14);
  const zippedChunk = Buffer.concat([Buffer.from("14\r\n"), zipped, Buffer.from("\r\n")]);
  const dataRoutes = DATA_ROUTES.flatMap(([template]) => {
    const path = filled(template);
    return [
      stall("POST", path, gatewayKey(), "declared", ["content-length: 100"], half),
      stall("POST", path, gatewayKey(), "chunked", [chunked], `16\r\n${half}\r\n`),
      stall("POST", path, gatewayKey(), "gzip", [chunked, gzip], zippedChunk),
    ];
  });
  const adminRoutes = ADMIN_ROUTES.map(([method, path]) =>
    stall(method, filled(path), adminToken, "admin", ["content-length: 100"], "{"),
  );
  return Promise.all([...dataRoutes, ...adminRoutes]);
}

test("a body that stops in its middle is a 408 on every route, and its connection is closed", async () => {
  const answers = await stalled;
  const others = answers.filter(({ text }) => !text.startsWith("HTTP/1.1 408 ") || !text.includes("10 s"));
  expect(others).toEqual([]);
  expect(answers.length).toBe(3 * DATA_ROUTES.length + ADMIN_ROUTES.length);
});

describe("a refusal of a body of megabytes is seen by its client", () => {
  const MEGABYTES = 2;
  const large = "x".repeat(MEGABYTES * 1024 * 1024);
  const streamed = () => new Blob([large]).stream();
  const cases: readonly (readonly [string, string, string, string, number])[] = [
    ["an unknown path", "POST", "/v1/nowhere", "key", 404],
    ["an unknown path outside of any plane", "POST", "/nowhere", "none", 404],
    ["a wrong method", "PUT", "/v1/chat/completions", "key", 405],
    ["no key", "POST", "/v1/chat/completions", "none", 401],
    ["a wrong key", "POST", "/v1/messages", "wrong", 401],
    ["a wrong key for a vendor's own API", "POST", "/proxy/up/files", "wrong", 401],
    ["no admin token", "PUT", "/admin/tenants/x", "none", 401],
    ["a gateway key on the admin plane", "PUT", "/admin/tenants/x", "key", 401],
  ];
  const authorizationOf = (who: string): string =>
    who === "key" ? gatewayKey() : who === "none" ? "" : "Bearer hg_wrong";

  test.each(cases)("%s", async (_, method, path, who, status) => {
    for (const body of [large, streamed()]) {
      const answer = await send(method, path, authorizationOf(who), body);
      expect(answer.status, answer.text).toBe(status);
    }
  });

  test.each(["declared", "chunked"])("one above the limit, %s", async (how) => {
    const { key } = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      limits: { maxBodyBytes: 1000 },
    });
    const answer = await send(
      "POST",
      "/v1/chat/completions",
      `Bearer ${key}`,
      how === "declared" ? large : streamed(),
    );
    expect(answer.status).toBe(413);
    expect(answer.text).toContain("1000 bytes");
  });
});
