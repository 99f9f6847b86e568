// The load generator of the bench, a process of its own: drives one URL in a closed loop for a bounded time over a fixed number
// of keep-alive connections and checks every answer. Started by run.ts, which sends a LoadJob over IPC and gets a LoadResult.
import { answerProblem, NONCE } from "../cases.ts";
import { openConnection, type Connection } from "./http-client.ts";

export type LoadJob = {
  readonly url: string;
  /** `authorization` value, where the target wants one. */
  readonly authorization?: string;
  readonly caseName: string;
  /** Chat completions where absent. */
  readonly path?: string;
  readonly body: string;
  /** Whether each request has a number of its own in place of the body's NONCE: no memory of earlier ones answers it. */
  readonly isVaried?: boolean;
  readonly connections: number;
  /** Ends after this time or this many requests, whichever comes first; requests under way are finished. */
  readonly durationMs: number;
  readonly maxRequests: number;
};

export type LoadResult = {
  readonly requests: number;
  readonly elapsedMs: number;
  /** Milliseconds of each request to its end, sorted. */
  readonly totalsMs: readonly number[];
  /** Milliseconds of each request to its first body byte, sorted. */
  readonly firstBytesMs: readonly number[];
  /** Delay of each first and each later stamped chunk (latency mode only), sorted. */
  readonly firstChunkDelaysMs: readonly number[];
  readonly laterChunkDelaysMs: readonly number[];
  /** Wrong answers, the first few in words; a bench with one is void. */
  readonly problems: readonly string[];
};

const MAX_PROBLEMS = 5;

async function run(job: LoadJob): Promise<LoadResult> {
  const { hostname, port, host } = new URL(job.url);
  const template = requestBytes(job, host);
  const nonceAt = job.isVaried === true ? template.indexOf(NONCE) : -1;
  const totals: number[] = [];
  const firstBytes: number[] = [];
  const firstChunks: number[] = [];
  const laterChunks: number[] = [];
  const problems: string[] = [];
  let started = 0;

  const connections = await Promise.all(
    Array.from({ length: job.connections }, () => openConnection(hostname, Number(port))),
  );
  const startedAt = performance.now();
  const mayGoOn = (): boolean =>
    started < job.maxRequests &&
    performance.now() - startedAt < job.durationMs &&
    problems.length < MAX_PROBLEMS;

  async function drive(connection: Connection): Promise<void> {
    // Written to only between two exchanges.
    const request = Buffer.from(template);
    while (mayGoOn()) {
      started += 1;
      if (nonceAt >= 0) request.write(nextNonce(), nonceAt, "latin1");
      const answer = await connection.exchange(request);
      totals.push(answer.totalMs);
      firstBytes.push(answer.firstByteMs);
      const [first, ...later] = answer.chunkDelaysMs;
      if (first !== undefined) firstChunks.push(first);
      laterChunks.push(...later);
      const problem = answerProblem(job.caseName, answer.status, answer.body);
      if (problem !== undefined) problems.push(problem);
    }
  }
  await Promise.all(connections.map(drive)).catch((error: unknown) => problems.push(String(error)));
  const elapsedMs = performance.now() - startedAt;
  for (const connection of connections) connection.close();
  return {
    requests: totals.length,
    elapsedMs,
    totalsMs: sorted(totals),
    firstBytesMs: sorted(firstBytes),
    firstChunkDelaysMs: sorted(firstChunks),
    laterChunkDelaysMs: sorted(laterChunks),
    problems,
  };
}

/** Of all jobs of this process. */
let nonces = 0;

function nextNonce(): string {
  nonces += 1;
  return nonces.toString().padStart(NONCE.length, "0");
}

function requestBytes(job: LoadJob, host: string): Buffer {
  const body = Buffer.from(job.body);
  const lines = [
    `POST ${job.path ?? "/v1/chat/completions"} HTTP/1.1`,
    `host: ${host}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
    ...(job.authorization === undefined ? [] : [`authorization: ${job.authorization}`]),
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), body]);
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

process.on("message", (job: LoadJob) => {
  void run(job)
    .catch((error: unknown): Partial<LoadResult> => ({ requests: 0, problems: [String(error)] }))
    .then((result) => process.send?.(result));
});
process.on("disconnect", () => process.exit(0));
