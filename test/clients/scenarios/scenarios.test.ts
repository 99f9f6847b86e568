// Each row of the table in src/telemetry/README.md, played through HTTP against a real OTLP receiver: the trace keeps every rule of
// trace-invariants.ts and of the protocol, and is the tree that the table shows, no span, event or link more or less. Together
// they show every name that a span may have.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ATTRIBUTES, EVENTS, LINKS } from "../../../src/telemetry/trace/attributes.ts";
import { CONTENT_ATTRIBUTES } from "../../../src/telemetry/content/content.ts";
import { PRESET_ATTRIBUTES } from "../../../src/telemetry/export/preset-attributes.ts";
import { SPANS } from "../../../src/telemetry/trace/spans.ts";
import { checkOtlp } from "../../support/checkers/otlp-proto.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { CHAPTERS } from "./chapters.ts";
import { createContext } from "./scenario.ts";
import { drawTree } from "./tree.ts";

/** The slowest waits for a lease to end, an alarm and an outbox. */
const SLOWEST_MS = 180_000;

let stack: GatewayStack;
/** A tenant's own destination. */
let own: OtlpReceiver;
beforeAll(async () => {
  [stack, own] = await Promise.all([
    startGatewayStack({}, { hasTwin: true }),
    startOtlpReceiver({ gets: ["content", "langfuse"] }),
  ]);
});
afterAll(async () => {
  await stack.close();
  await own.close();
});

describe.each(CHAPTERS)("$title", ({ scenarios }) => {
  test.each(scenarios)("$name", { timeout: SLOWEST_MS }, async ({ tree, gets = [], play }) => {
    const context = createContext(stack, own);
    const spans = await play(context);
    expect(checkTrace(spans, { others: [...stack.otlp.spans(), ...own.spans()], gets })).toEqual([]);
    const traceId = spans[0]?.traceId ?? "none";
    const posts = [...stack.otlp.exports, ...own.exports].filter(({ text }) => text.includes(traceId));
    expect(posts.flatMap(({ json }) => checkOtlp(json))).toEqual([]);
    expect(drawTree(spans, context.aliases)).toEqual(tree);
  });
});

/** What no client can bring about while the limits before it hold, and where it is tested instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "gateway.span.truncated": "unit/telemetry/request-trace.test.ts",
  "gateway.span.dropped_count": "unit/telemetry/request-trace.test.ts",
};

/** What is listed and was on no span of all that was played. */
function unseen(listed: object, seen: (span: FlatSpan) => readonly string[]): readonly string[] {
  const found = new Set([...stack.otlp.spans(), ...own.spans()].flatMap(seen));
  return Object.keys(listed).filter((name) => !found.has(name) && !Object.hasOwn(ELSEWHERE, name));
}

describe("every name that is listed", () => {
  test("was on a span of a scenario", () => {
    const listed = { ...ATTRIBUTES, ...CONTENT_ATTRIBUTES, ...PRESET_ATTRIBUTES.langfuse };
    const names = ({ attributes, events, links }: FlatSpan): readonly string[] =>
      [attributes, ...[...events, ...links].map((part) => part.attributes)].flatMap(Object.keys);
    expect({
      spans: unseen(SPANS, ({ name }) => [name]),
      attributes: unseen(listed, names),
      events: unseen(EVENTS, ({ events }) => events.map(({ name }) => name)),
      links: unseen(LINKS, ({ links }) =>
        links.map(({ attributes }) => String(attributes["gateway.link.type"])),
      ),
    }).toEqual({ spans: [], attributes: [], events: [], links: [] });
  });
});
