/** `doctor`: checks a gateway from the outside, and says for each fault what to do. Changes nothing. */

import { call, callJson, type Connection, listRecords } from "../connection.ts";
import { CommandError } from "../command-error.ts";
import type { CommandContext, RunCommand } from "./command.ts";

type Verdict = "ok" | "warning" | "fault";

interface Finding {
  readonly verdict: Verdict;
  readonly text: string;
  /** What to do; absent where nothing is wrong. */
  readonly remedy?: string;
}

const SIGNS: Readonly<Record<Verdict, string>> = { ok: "ok     ", warning: "warning", fault: "FAULT  " };
/** Wrangler needs it; the gateway itself does not. */
const MIN_NODE_MAJOR = 22;

export const doctorCommand: RunCommand = async (context) => {
  const findings: Finding[] = [];
  const report = (finding: Finding): void => {
    findings.push(finding);
    context.print(`${SIGNS[finding.verdict]} ${finding.text}`);
    if (finding.remedy !== undefined) context.print(`        ${finding.remedy}`);
  };
  report(checkNode());
  for (const finding of await checkGateway(context)) report(finding);
  const faults = (): number => findings.filter(({ verdict }) => verdict === "fault").length;
  // Without a gateway and a token nothing else can be read.
  if (faults() === 0) for await (const finding of checkTenants(context)) report(finding);
  const warnings = findings.filter(({ verdict }) => verdict === "warning").length;
  context.note(`${faults()} faults, ${warnings} warnings.`);
  return faults() === 0 ? 0 : 1;
};

function checkNode(): Finding {
  const isOld = Number.parseInt(process.versions.node, 10) < MIN_NODE_MAJOR;
  const text = `Node ${process.versions.node}`;
  if (!isOld) return { verdict: "ok", text };
  return { verdict: "warning", text, remedy: `wrangler needs Node ${MIN_NODE_MAJOR} or newer to deploy.` };
}

async function checkGateway({ connection }: CommandContext): Promise<readonly Finding[]> {
  const gateway = connection();
  const health = await call(gateway, "GET", "/healthz").catch((error: unknown) => {
    if (error instanceof CommandError) return error;
    throw error;
  });
  if (health instanceof CommandError) {
    const remedy = "Start it (npm start), or name it by --url or HEADGATE_URL.";
    return [{ verdict: "fault", text: health.message, remedy }];
  }
  if (!health.ok) {
    const text = `${gateway.url} answers ${health.status}: ${(await health.text()).slice(0, 300)}`;
    return [
      { verdict: "fault", text, remedy: "Mend the setting that it names: src/docs/records.md, Settings." },
    ];
  }
  const { version } = Object(await health.json()) as { version?: unknown };
  const up: Finding = {
    verdict: "ok",
    text: `gateway ${gateway.url}, version ${typeof version === "string" ? version : "unknown"}`,
  };
  if (gateway.token === undefined) {
    const remedy = "Set HEADGATE_TOKEN to ADMIN_TOKEN or to a token with a role.";
    return [up, { verdict: "fault", text: "no admin token", remedy }];
  }
  try {
    const me = await callJson(gateway, "GET", "/admin/me");
    return [up, { verdict: "ok", text: `admin token of role ${String(me["role"])}` }];
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return [up, { verdict: "fault", text: "the admin token is not accepted", remedy: error.message }];
  }
}

async function* checkTenants({ connection, positionals, options }: CommandContext): AsyncGenerator<Finding> {
  const gateway = connection();
  const names =
    positionals.length > 0
      ? positionals
      : (await listRecords(gateway, "/admin/tenants")).map((tenant) => String(tenant["id"]));
  if (names.length === 0) {
    yield { verdict: "warning", text: "no tenants", remedy: "Make one: src/docs/quick-start.md." };
  }
  for (const name of names) {
    const path = `/admin/tenants/${encodeURIComponent(name)}`;
    const record = await callJson(gateway, "GET", path);
    yield* checkRecords(gateway, name, path);
    yield* checkCircuits(gateway, name, path);
    yield* checkDelivery(gateway, name, path);
    if (options["send-spans"] === true) yield* sendSpans(gateway, name, path, record);
  }
}

type Shown = Readonly<Record<string, unknown>>;

async function* checkRecords(gateway: Connection, tenant: string, path: string): AsyncGenerator<Finding> {
  const [providers, routes, keys] = await Promise.all(
    ["providers", "routes", "keys"].map((list) => listRecords(gateway, `${path}/${list}`)),
  );
  const known = new Set((providers ?? []).map(({ name }) => name));
  yield {
    verdict: "ok",
    text: `tenant ${tenant}: ${known.size} providers, ${routes?.length} routes, ${keys?.length} keys`,
  };
  for (const { name, targets } of routes ?? []) {
    for (const { provider } of targets as readonly Shown[]) {
      if (known.has(provider)) continue;
      const text = `${tenant}: route ${String(name)} names the provider ${String(provider)}, which does not exist`;
      yield { verdict: "fault", text, remedy: "Make the provider, or change the route's targets." };
    }
  }
  if (keys?.length === 0) {
    yield {
      verdict: "warning",
      text: `${tenant}: no gateway key`,
      remedy: `headgate keys ${tenant} create NAME`,
    };
  }
}

async function* checkCircuits(gateway: Connection, tenant: string, path: string): AsyncGenerator<Finding> {
  const { items } = await callJson(gateway, "GET", `${path}/health`);
  for (const { target, circuit, failures } of items as readonly Shown[]) {
    if (circuit === "closed") continue;
    const text = `${tenant}: the circuit of ${JSON.stringify(target)} is ${String(circuit)} after ${String(failures)} failures`;
    const remedy = `See why its calls failed: headgate traces --tenant ${tenant} --status error`;
    yield { verdict: "warning", text, remedy };
  }
}

async function* checkDelivery(gateway: Connection, tenant: string, path: string): AsyncGenerator<Finding> {
  const { items } = await callJson(gateway, "GET", `${path}/export`);
  for (const item of items as readonly Shown[]) {
    const lost = Object.values(Object(item["dropped"]) as Record<string, number>).reduce(
      (sum, n) => sum + n,
      0,
    );
    const subject = `${tenant}: traces to ${String(item["destination"])}`;
    if (lost > 0) {
      const remedy = "The reasons are in src/docs/operations.md, with what to do for each.";
      yield {
        verdict: "warning",
        text: `${subject}: ${lost} lost (${JSON.stringify(item["dropped"])})`,
        remedy,
      };
    } else if (item["circuit"] === "open") {
      const remedy = `Test it: headgate doctor ${tenant} --send-spans`;
      yield { verdict: "fault", text: `${subject}: not delivered (${String(item["lastError"])})`, remedy };
    } else yield { verdict: "ok", text: `${subject}: ${String(item["delivered"])} delivered, none lost` };
  }
}

async function* sendSpans(
  gateway: Connection,
  tenant: string,
  path: string,
  record: Shown,
): AsyncGenerator<Finding> {
  const { destinations } = Object(record["tracing"]) as { destinations?: readonly Shown[] };
  for (const { name } of destinations ?? []) {
    const answer = await callJson(gateway, "POST", `${path}/destinations/${String(name)}/test`);
    const subject = `${tenant}: test span to ${String(name)}`;
    if (answer["delivered"] === true)
      yield { verdict: "ok", text: `${subject}: delivered in ${String(answer["ms"])} ms` };
    else {
      const remedy = "Check the destination's endpoint and headers in the tenant's record.";
      yield { verdict: "fault", text: `${subject}: ${String(answer["error"] ?? answer["status"])}`, remedy };
    }
  }
}
