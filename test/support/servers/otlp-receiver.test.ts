// A receiver judges what it got when it closes: over HTTP, as the gateway would send it.
import { expect, test } from "vitest";
import { exportBody } from "../checkers/flat-trace.ts";
import { fallbackTrace, plainTrace } from "../builders/sample-traces.ts";
import { startOtlpReceiver } from "./otlp-receiver.ts";

async function close(...bodies: readonly string[]): Promise<void> {
  const receiver = await startOtlpReceiver();
  for (const body of bodies) {
    const headers = { "content-type": "application/json" };
    await fetch(`${receiver.url}/v1/traces`, { method: "POST", headers, body });
  }
  await receiver.close();
}

const body = exportBody([await fallbackTrace(), await plainTrace()]);

test("good traces close it in peace, sent twice too", async () => {
  await expect(close(body, body)).resolves.toBeUndefined();
});

test.each([
  ["a root by another name", body.replace("POST /v1/chat/completions", "a request"), "is no name of a root"],
  [
    "an attribute that nobody lists",
    body.replace("gateway.auth.source", "gateway.auth.sauce"),
    "is not listed",
  ],
  ["a body that is no OTLP", body.replace('"spans"', '"spanz"'), "spanz"],
])("%s is reported by its name", async (_, broken, fault) => {
  await expect(close(body, broken)).rejects.toThrow(fault);
});
