// The signature of a webhook, checked as a receiver checks it, and which of its answers are followed by another try.
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { encodeText } from "../../../../src/bytes/digest.ts";
import { sendSigned, webhookTarget } from "../../../../src/telemetry/export/outbox/webhook.ts";

const KEY = Buffer.alloc(32, "a webhook's key");
const SECRET = `whsec_${KEY.toString("base64")}`;
const NOW = 1_800_000_000_999;
const BODY = JSON.stringify({ id: "evt_1", type: "budget.threshold_reached" });

async function sendTo(answer: () => Response) {
  const sent: { readonly url: string; readonly init: RequestInit }[] = [];
  const target = webhookTarget("https://hooks.example/x", SECRET);
  const payload = { body: encodeText(BODY), isGzip: false };
  const result = await sendSigned(target, SECRET, payload, {
    fetch: async (url, init) => {
      sent.push({ url, init });
      return answer();
    },
    clock: () => NOW,
    timeoutSignal: () => new AbortController().signal,
  });
  return { result, headers: new Headers(sent[0]?.init.headers), sent };
}

test("signs id, time and body", async () => {
  const { result, headers, sent } = await sendTo(() => new Response(null, { status: 204 }));
  expect(result).toEqual({ kind: "ok", status: 204 });
  expect(sent[0]?.init.redirect).toBe("manual");
  expect(headers.get("webhook-id")).toBe("evt_1");
  expect(headers.get("webhook-timestamp")).toBe("1800000000");
  const signed = createHmac("sha256", KEY).update(`evt_1.1800000000.${BODY}`).digest("base64");
  expect(headers.get("webhook-signature")).toBe(`v1,${signed}`);
  expect(JSON.stringify([...headers])).not.toContain(SECRET.slice(6));
});

test.each([
  [500, true],
  [503, true],
  [429, true],
  [408, true],
  [400, false],
  [410, false],
  [302, false],
] as const)("after a %i it is sent again: %s", async (status, mayRetry) => {
  const { result } = await sendTo(() => new Response(null, { status }));
  expect(result).toMatchObject({ kind: "failed", mayRetry });
});

test("a receiver that can't be reached is tried again", async () => {
  const { result } = await sendTo(() => {
    throw new TypeError("connection refused");
  });
  expect(result).toMatchObject({ kind: "failed", reason: "network", mayRetry: true });
});
