// Each attack of the table in src/docs/security.md, made on real gateways: what is refused reaches no vendor, and what must not get
// through does not.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./chapters.ts";
import { type RawAnswer, sendRaw } from "./send.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

/** Node's client refuses these in a path; a socket would take them. */
const asPath = (path: string): string => path.replaceAll(/[^\x21-\x7e]/g, encodeURIComponent);

function make(attack: Attack): Promise<RawAnswer> {
  const { setting = "open", method = "GET", path, headers = {}, body } = attack;
  const fill = (text: string): string =>
    world.fill(setting === "deployed" ? text.replaceAll("{tenant}", "{deployedTenant}") : text);
  const sent = typeof body === "object" ? JSON.stringify(body) : body;
  const type = sent === undefined ? {} : { "content-type": "application/json" };
  const filled = Object.entries(headers).map(([name, value]) => [name, fill(value)] as const);
  return sendRaw(
    world.urls[setting],
    method,
    asPath(fill(path)),
    { ...type, ...Object.fromEntries(filled) },
    sent === undefined ? undefined : fill(sent),
  );
}

/** The gateway's own code, where the error's form has one. */
function codeOf(text: string): string | undefined {
  const body = JSON.parse(text) as { readonly code?: string; readonly error?: { readonly code?: unknown } };
  const code = body.code ?? body.error?.code;
  return typeof code === "string" ? code : undefined;
}

test("the simulator, which is called nowhere, works where private addresses are refused", async () => {
  const answer = await sendRaw(
    world.urls.deployed,
    "POST",
    "/v1/chat/completions",
    { authorization: world.fill("Bearer {deployedKey}"), "content-type": "application/json" },
    JSON.stringify({ model: "sim/small", messages: [{ role: "user", content: "hi" }] }),
  );
  expect(answer.status, answer.text).toBe(200);
});

describe.each(ATTACKS)("$title", ({ attacks }) => {
  test.each(attacks.map((attack) => [attack.attack, attack] as const))("%s", async (_, attack) => {
    const { refusal } = attack;
    const before = world.upstream.requests.length;
    const answer = await make(attack);
    const reached = world.upstream.requests.slice(before);
    expect(answer.status, answer.text).toBeLessThan(500);
    if (refusal.kind !== "not shown") expect(answer.text).not.toContain(world.fill("{credential}"));
    switch (refusal.kind) {
      case "refused":
        expect(answer.status, answer.text).toBe(refusal.status);
        if (answer.text !== "" && refusal.code !== "")
          expect(codeOf(answer.text) ?? refusal.code).toBe(refusal.code);
        expect(reached).toEqual([]);
        break;
      case "sent to the account":
        expect(answer.status, answer.text).toBe(200);
        expect(reached.length).toBe(1);
        break;
      case "not sent on":
        expect(reached.length).toBe(1);
        expect(reached[0]?.headers[refusal.header] ?? "").not.toContain(
          world.fill(attack.headers?.[refusal.header] ?? "?"),
        );
        break;
      case "not sent back":
        expect(answer.headers[refusal.header]).toBeUndefined();
        break;
      case "not shown":
        expect(answer.text + JSON.stringify(answer.headers)).not.toContain(world.fill(refusal.text));
        break;
    }
  });
});
