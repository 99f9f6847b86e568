// The kinds of public bug reports about gateways and agents: each sample and a variant of our own, whole and streamed, and what
// is answered from the cache as well. Lone requests longer than a lease are in limits/lone-request.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { rootOf } from "../../support/clients/chat-client.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { ANSWER_REPORTS } from "./answers.ts";
import { FIT_REPORTS } from "./fits.ts";
import { HINT_REPORTS } from "./hints.ts";
import { MONEY_REPORTS } from "./money.ts";
import { requestOf, scriptOf, VENDORS, type Form, type ReportCase, type Seen } from "./report-case.ts";

const FORMS: readonly Form[] = ["whole", "streamed"];
const PATH_MODELS = new Set(["bedrock", "gemini"]);

let stack: GatewayStack;
let key: string;
beforeAll(async () => {
  stack = await startGatewayStack();
  const cache = { enabled: true, ttlSeconds: 3600, toolCalls: true };
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, cache });
  key = tenant.key;
  for (const [name, account] of Object.entries(VENDORS)) {
    const isRoot = account.kind === "anthropic" || PATH_MODELS.has(account.kind);
    const baseUrl = isRoot ? stack.upstream.url : `${stack.upstream.url}/v1`;
    await adminJson(stack.gateway, "PUT", `/admin/tenants/${tenant.id}/providers/${name}`, {
      ...account,
      baseUrl,
    });
  }
});
afterAll(() => stack.close());

type CacheMode = "refresh" | "only-if-cached";

async function ask(report: ReportCase, model: string, form: Form, cache: CacheMode): Promise<Seen> {
  const { path, json } = requestOf(report, model, form);
  const before = stack.upstream.requests.length;
  const response = await fetch(stack.gateway.url + path, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "x-headgate-cache": cache,
      ...report.headers,
    },
    body: report.encode === undefined ? json : report.encode(json),
  });
  const text = await response.text();
  return {
    form,
    status: response.status,
    headers: response.headers,
    text,
    sent: stack.upstream.requests.slice(before).at(-1),
    root: async () => {
      const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
      return rootOf(spans).attributes;
    },
  };
}

const KINDS = { ...ANSWER_REPORTS, ...FIT_REPORTS, ...HINT_REPORTS, ...MONEY_REPORTS };

describe.each(Object.entries(KINDS))("%s", (_kind, reports) => {
  test("has a sample and a variant", () => expect(reports.length).toBeGreaterThan(1));

  describe.each(reports.map((report) => [report.name, report] as const))("%s", (_name, report) => {
    test.each(report.forms ?? FORMS)("%s", async (form) => {
      const model = report.model ?? uniqueModel();
      const scripted = PATH_MODELS.has(report.vendor) ? "" : model;
      stack.upstream.script(scripted, scriptOf(report.vendor, form, report.reply));
      await report.check(await ask(report, model, form, "refresh"));
      if (report.isCached !== true) return;
      for (const again of FORMS) {
        const hit = await ask(report, model, again, "only-if-cached");
        expect(hit.headers.get("x-headgate-cache"), hit.text).toBe("HIT");
        await report.check(hit);
      }
    });
  });
});
