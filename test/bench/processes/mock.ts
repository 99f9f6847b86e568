// The model API and the OTLP collector of the bench, in one node:http process of its own: fixed bytes, no work worth measuring.
// The case is named by the model in the request. Started by run.ts; sends its URL over IPC, and its counts when asked.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { completion, PACED, streamEvents, type MockCounts } from "../cases.ts";

/** Node's timers are late by up to this: the last stretch before a chunk is due is spun, or it would drown what is measured. */
const TIMER_GRAIN_MS = 2;
/** Each traced request has one span of such a name. */
const ROOT_SPAN = /"name":"POST \/v1\/(?:chat\/completions|messages)"/;
const DONE = "data: [DONE]\n\n";
const counts = { exports: 0, traces: 0 } satisfies MockCounts;
const events = streamEvents();
const usageEvent = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"stream","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":50,"total_tokens":60}}\n\n`;
const bodies = { small: Buffer.from(completion("small")), large: Buffer.from(completion("large")) };

const server = createServer((request, response) => {
  response.socket?.setNoDelay(true);
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    if (request.url?.endsWith("/v1/traces") === true) {
      counts.exports += 1;
      counts.traces += Buffer.concat(chunks).toString("latin1").split(ROOT_SPAN).length - 1;
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
      return;
    }
    if (request.url?.endsWith("/v1/metrics") === true) {
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
      return;
    }
    answer(Buffer.concat(chunks).toString("latin1"), response);
  });
});

function answer(body: string, response: ServerResponse): void {
  const withUsage = body.includes('"include_usage":true');
  // The floors send the route's name, the gateway its target's: cases.ts.
  const model = /"model":"([^"]+?)(?:-v1)?"/.exec(body)?.[1];
  if (model === PACED.model) writePaced(response);
  else if (model === "stream") writeStream(response, withUsage);
  else writeJson(response, model === "large-answer" ? bodies.large : bodies.small);
}

function writeJson(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
}

function writeStream(response: ServerResponse, withUsage: boolean): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) response.write(event);
  if (withUsage) response.write(usageEvent);
  response.end(DONE);
}

/** Latency mode: the first chunk at 20 ms, then one each 10 ms, each stamped with the machine's monotonic clock as it leaves. */
function writePaced(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  let sent = 0;
  let due = performance.now() + PACED.firstChunkMs;
  const next = (): void => {
    if (performance.now() < due) return void setImmediate(next);
    const stamp = process.hrtime.bigint();
    response.write(`data: {"choices":[{"index":0,"delta":{"content":"x"}}],"stamp":"${stamp}"}\n\n`);
    sent += 1;
    if (sent === PACED.chunks) return void response.end(DONE);
    due += PACED.paceMs;
    setTimeout(next, PACED.paceMs - TIMER_GRAIN_MS);
  };
  setTimeout(next, PACED.firstChunkMs - TIMER_GRAIN_MS);
}

process.on("message", () => process.send?.(counts));
process.on("disconnect", () => process.exit(0));
server.listen(0, "127.0.0.1", () => {
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
