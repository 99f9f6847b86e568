/** Addresses a record may name: public https when deployed, anything http(s) when private ones are allowed. */
import { describe, expect, it } from "vitest";
import { refuseUrl } from "../../../src/runtime/public-url.ts";

describe("when deployed", () => {
  const refuse = (url: string): string | undefined => refuseUrl(url, { allowPrivate: false });

  it.each([
    "https://api.openai.com/v1",
    "https://api.example.com:8443/v1",
    "https://EXAMPLE.com.",
    "https://home.example.com",
    "https://svc.example",
    "https://example.com/v1/chat?path=/../x",
    "https://example.com/v1/..model/x",
  ])("%s may be called", (url) => {
    expect(refuse(url)).toBeUndefined();
  });

  it.each([
    ["", "URL"],
    ["api.openai.com", "URL"],
    ["ftp://example.com", "http(s)"],
    ["file:///etc/passwd", "http(s)"],
    ["http://api.openai.com/v1", "https"],
    ["https://user@example.com", "user name"],
    ["https://user:pass@example.com", "user name"],
    ["https://example.com/#x", "fragment"],
    ["https://localhost", "public"],
    ["https://LOCALHOST:8443", "public"],
    ["https://localhost.", "public"],
    ["https://a.localhost", "public"],
    ["https://router.lan", "public"],
    ["https://printer.local", "public"],
    ["https://db.internal", "public"],
    ["https://metadata.google.internal/computeMetadata/v1", "public"],
    ["https://kubernetes.default.svc.cluster.local", "public"],
    ["https://intranet", "public"],
    ["https://127.0.0.1", "public"],
    ["https://127.1", "public"],
    ["https://2130706433", "public"],
    ["https://0x7f.0.0.1", "public"],
    ["https://0", "public"],
    ["https://10.1.2.3", "public"],
    ["https://169.254.169.254/latest/meta-data", "public"],
    ["https://[::1]", "public"],
    ["https://[::ffff:10.0.0.1]", "public"],
    ["https://[fd00::1]", "public"],
    ["https://１２７.0.0.1", "public"],
    ["https://api.default.svc", "public"],
    ["https://nas.home", "public"],
    ["https://ldap.corp", "public"],
    ["https://wiki.intra", "public"],
    ["https://vault.private", "public"],
    ["https://db.cluster", "public"],
    ["https://box.tail1234.ts.net", "public"],
    ["https://10.0.0.1.nip.io", "public"],
    ["https://localtest.me", "public"],
    ["https://a.localtest.me", "public"],
    ["https://example.com:22", "port"],
    ["https://example.com:25/v1", "port"],
    ["https://example.com/v1/../admin", "segments"],
    ["https://example.com/v1/%2E%2e/admin", "segments"],
    ["https://example.com/v1/.%2e", "segments"],
    ["https://example.com\\..\\x", "segments"],
  ])("%s is refused: %s", (url, reason) => {
    expect(refuse(url)).toContain(reason);
  });
});

describe("where private addresses are allowed", () => {
  const refuse = (url: string): string | undefined => refuseUrl(url, { allowPrivate: true });

  it.each(["http://127.0.0.1:11434/v1", "http://localhost:8000", "https://10.0.0.1", "http://[::1]:1"])(
    "%s may be called",
    (url) => {
      expect(refuse(url)).toBeUndefined();
    },
  );

  it.each(["file:///etc/passwd", "http://user:pass@localhost", "http://localhost/#x", "nonsense"])(
    "%s is refused all the same",
    (url) => {
      expect(refuse(url)).toBeDefined();
    },
  );
});
