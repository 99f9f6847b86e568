// What passes between a client and a vendor's own API: paths that stay where they belong, and headers that are nobody's secret.
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
  test("to the vendor are the client's, without keys, hops and what is the gateway's", () => {
    const headers = new Headers({
      accept: "text/event-stream",
      "anthropic-version": "2023-06-01",
      "idempotency-key": "k",
      authorization: "Bearer hg_secret",
      "x-api-key": "hg_secret",
      "x-goog-api-key": "hg_secret",
      "api-key": "hg_secret",
      cookie: "a=b",
      "openai-organization": "org",
      connection: "keep-alive, x-hop",
      "x-hop": "1",
      "content-length": "3",
      "accept-encoding": "br",
      "x-headgate-session": "s",
      "cf-connecting-ip": "1.2.3.4",
      "x-forwarded-for": "1.2.3.4",
      traceparent: "00-0-0-01",
    });
    expect(headersToVendor(headers)).toEqual({
      accept: "text/event-stream",
      "anthropic-version": "2023-06-01",
      "idempotency-key": "k",
    });
  });

  test("to the client are the vendor's, without its cookies and connection", () => {
    const headers = new Headers({
      "content-type": "application/json",
      "openai-processing-ms": "12",
      "x-ratelimit-remaining-requests": "3",
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
      "content-type": "application/json",
      "openai-processing-ms": "12",
      "x-ratelimit-remaining-requests": "3",
    });
  });
});
