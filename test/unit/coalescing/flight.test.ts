import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFlight, type Flight } from "../../../src/coalescing/flight.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function readAll(body: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(body).text();
}

/** Whether the promise has settled by the time everything that could has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const turn = Promise.withResolvers<"pending">();
  setTimeout(() => turn.resolve("pending"), 5);
  return (await Promise.race([promise.then(() => "settled"), turn.promise])) === "settled";
}

describe("a flight", () => {
  test("gives each reader all bytes from the first one, whenever they come and however fast they read", async () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pieces, fc.array(fc.nat(12), { minLength: 1, maxLength: 5 }), async (all, joinsAt) => {
        const flight = createFlight();
        const bodies: Promise<ArrayBuffer>[] = [];
        for (const [at, piece] of all.entries()) {
          for (const join of joinsAt)
            if (join === at) bodies.push(new Response(flight.follow("")).arrayBuffer());
          await flight.append(piece);
        }
        bodies.push(new Response(flight.follow("")).arrayBuffer());
        flight.end("complete");
        const expected = all.flatMap((piece) => [...piece]);
        for (const body of bodies) expect([...new Uint8Array(await body)]).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  test("holds its leader back while no reader takes the bytes, and never holds more than its window", async () => {
    const flight = createFlight(() => {}, 10);
    const reader = flight.follow("").getReader();
    await flight.append(bytes("12345678"));
    const waiting = flight.append(bytes("abcdefgh"));
    expect(await isSettled(waiting)).toBe(false);
    await reader.read();
    await waiting;
    expect(flight.bytes).toBe(8);
  });

  test("cuts off only a reader further behind than the window, with its own error event", async () => {
    const flight = createFlight(() => {}, 10);
    let failed = 0;
    const slow = flight.follow("data: broke\n\n", () => (failed += 1));
    const fast = flight.follow("").getReader();
    const seen: string[] = [];
    const reading = (async () => {
      for (;;) {
        const { value, done } = await fast.read();
        if (done) return;
        seen.push(new TextDecoder().decode(value));
      }
    })();
    for (const piece of ["one-----", "two-----", "three---"]) await flight.append(bytes(piece));
    flight.end("complete");
    await reading;
    expect(seen.join("")).toBe("one-----two-----three---");
    expect(await readAll(slow)).toMatch(/\n\ndata: broke\n\n$/);
    expect(failed).toBe(1);
  });

  test("can't be joined once its beginning is gone, and has no text to keep then", async () => {
    const flight = createFlight(() => {}, 4);
    await flight.append(bytes("1234"));
    expect([flight.isWhole, flight.text()]).toEqual([true, "1234"]);
    await flight.append(bytes("5678"));
    expect([flight.isWhole, flight.text()]).toEqual([false, undefined]);
  });

  test("joins text that was cut inside a character", async () => {
    const flight = createFlight();
    const [start, end] = [bytes("🚀").slice(0, 2), bytes("🚀").slice(2)];
    await flight.append(start);
    await flight.append(end);
    expect(flight.text()).toBe("🚀");
  });

  test.each<[Parameters<Flight["end"]>[0], string, number]>([
    ["complete", "x", 0],
    ["told", "x", 1],
    ["broken", "x\n\nERR", 1],
  ])("that ends %s says '%s'", async (how, text, failures) => {
    let failed = 0;
    const flight = createFlight();
    await flight.append(bytes("x"));
    flight.end(how);
    expect(await readAll(flight.follow("ERR", () => (failed += 1)))).toBe(text);
    expect(failed).toBe(failures);
  });

  test("tells when the last reader has left before the end", async () => {
    let empty = 0;
    const flight = createFlight(() => (empty += 1));
    const [one, two] = [flight.follow(""), flight.follow("")];
    await one.cancel();
    expect(empty).toBe(0);
    await two.cancel();
    expect(empty).toBe(1);
    expect(flight.readers).toBe(0);
  });
});
