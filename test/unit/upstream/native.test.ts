// What passes between a client and a vendor's own API: paths that stay where they belong, and headers that hold no secret.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headersToClient, headersToVendor } from "../../../src/upstream/native-headers.ts";
import { nativeUrl } from "../../../src/upstream/native-url.ts";

const BASE = "https://api.example.com/v1";

describe("a path", () => {
  test.each([
    [BASE, "chat/completions", "", "https://api.example.com/v1/chat/completions"],
    [`${BASE}/`, "/files", "?limit=2", "https://api.example.com/v1/files?limit=2"],
    [BASE, "v1/files", "", "https://api.example.com/v1/files"],
    [BASE, "v10/files", "", "https://api.example.com/v1/v10/files"],
    ["https://a.test", "v1beta/models/x:y", "", "https://a.test/v1beta/models/x:y"],
    ["https://a.test/d?api-version=1", "x", "a=b", "https://a.test/d/x?api-version=1&a=b"],
    [BASE, "files/a%2Fb%20c", "", "https://api.example.com/v1/files/a%2Fb%20c"],
    [BASE, "models/..a/b..", "", "https://api.example.com/v1/models/..a/b.."],
  ])("of %s and %s", (base, path, search, url) => {
    expect(nativeUrl(base, path, search)).toBe(url);
  });

  test.each([
    "../admin",
    "a/../../b",
    "a/./b",
    "..",
    "%2e%2e/x",
    "a/%2e%2e%2fb",
    "%252e%252e/x",
    "a%2f..%2fb",
    "a\\..\\b",
    "a%5c..%5cb",
    "..;x/y",
    "%25252525252e",
    "%zz",
    "a?b",
    "..#",
  ])("%s is refused", (path) => {
    expect(() => nativeUrl(BASE, path)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  test("never leaves its base, whatever it is", () => {
    const piece = fc.constantFrom(
      "..",
      ".",
      "/",
      "\\",
      "%2e",
      "%2f",
      "%5c",
      "a",
      "//evil.test",
      "@",
      "?",
      "#",
      ":",
    );
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join("")),
        (path) => {
          let url: URL;
          try {
            url = new URL(nativeUrl(BASE, path));
          } catch {
            return;
          }
          expect(url.origin).toBe("https://api.example.com");
          expect(url.pathname.startsWith("/v1/")).toBe(true);
        },
      ),
    );
  });
});

describe("headers", () => {
  const sent = {
    accept: "text/event-stream",
    "anthropic-version": "2023-06-01",
    "idempotency-key": "k",
    authorization: "Bearer hg_secret",
    "x-api-key": "hg_secret",
    "x-goog-api-key": "hg_secret",
    "api-key": "hg_secret",
    cookie: "a=b",
    "openai-organization": "org",
    "openai-project": "proj",
    connection: "keep-alive, range",
    range: "bytes=0-1",
    "content-length": "3",
    "accept-encoding": "br",
    "x-headgate-session": "s",
    "cf-connecting-ip": "1.2.3.4",
    "x-forwarded-for": "1.2.3.4",
    "x-client-ip": "1.2.3.4",
    "x-http-method-override": "DELETE",
    "x-original-url": "/admin",
    "x-rewrite-url": "/admin",
    "x-amz-security-token": "t",
    "ocp-apim-subscription-key": "k",
    "x-portkey-custom-host": "https://evil.example",
    "x-portkey-config": "c",
    "cf-aig-authorization": "a",
    "x-hf-bill-to": "other",
    "x-custom": "1",
    traceparent: "00-0-0-01",
  };
  const PASSED = { accept: "text/event-stream", "anthropic-version": "2023-06-01", "idempotency-key": "k" };

  test.each(["openai", "portkey", "azure-openai", "hugging-face", "workers-ai", "bedrock", "__proto__"])(
    "to a vendor of kind %s are those that its API defines, and no others",
    (kind) => {
      expect(headersToVendor(new Headers(sent), kind)).toEqual(PASSED);
    },
  );

  test.each([
    ["gemini", "x-goog-upload-offset"],
    ["vertex", "x-goog-api-client"],
    ["bedrock", "x-amzn-bedrock-trace"],
    ["openrouter", "x-title"],
  ])("of kind %s has %s of its own, which another kind does not get", (kind, name) => {
    expect(headersToVendor(new Headers({ [name]: "1" }), kind)).toEqual({ [name]: "1" });
    expect(headersToVendor(new Headers({ [name]: "1" }), "openai")).toEqual({});
  });

  const FOR_BROWSERS = {
    "cache-control": "no-store",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
  };

  test("to the client are about the answer, not about the vendor, the account or the browser", () => {
    const headers = new Headers({
      "content-type": "text/html",
      "openai-processing-ms": "12",
      "retry-after": "7",
      "x-ratelimit-remaining-requests": "3",
      "anthropic-ratelimit-tokens-remaining": "9",
      "openai-organization": "acme-corp",
      "anthropic-organization-id": "org",
      location: "https://evil.example",
      refresh: "0; url=https://evil.example",
      link: "<https://evil.example>; rel=preload",
      "www-authenticate": "Basic",
      "clear-site-data": "*",
      "service-worker-allowed": "/",
      "content-security-policy": "default-src *",
      "set-cookie": "__cf=1",
      "content-encoding": "gzip",
      "content-length": "3",
      "transfer-encoding": "chunked",
      "access-control-allow-origin": "*",
      "cf-ray": "x",
      "strict-transport-security": "max-age=1",
      "x-headgate-target": "forged",
    });
    expect(headersToClient(headers)).toEqual({
      "content-type": "text/html",
      "openai-processing-ms": "12",
      "retry-after": "7",
      ...FOR_BROWSERS,
    });
  });

  test("to the client never hold the account's secret", () => {
    const headers = new Headers({ etag: '"sk-canary"', "content-type": "text/plain; k=sk-canary" });
    expect(headersToClient(headers, ["sk-canary", ""])).toEqual(FOR_BROWSERS);
  });
});
