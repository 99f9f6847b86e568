// The numbers of cache.ts as CACHE.md. Pure.
import { PACED } from "../cases.ts";
import { median, quantile } from "./statistics.ts";

export type CacheCase = {
  readonly name: string;
  /** Microseconds of CPU a request, by target, one for each round in the same order. */
  readonly micros: ReadonlyMap<string, readonly number[]>;
};

type CacheFacts = {
  readonly rounds: number;
  readonly date: string;
  readonly machine: string;
  readonly versions: string;
};

/** CPU of a hit, in multiples of the bare Worker's. */
const HIT_BAR = 2;
const CLIENTS = 16;

export function cacheReport(
  cases: readonly CacheCase[],
  plans: ReadonlyMap<string, number>,
  { rounds, date, machine, versions }: CacheFacts,
): string {
  return `# Cache, coalescing and routing, measured

Made by \`npm run bench:cache\`; only the last section is written by hand. ${date}, ${machine}, ${versions}.

Method: plain \`workerd serve\`, ${rounds} interleaved rounds a cell after 3 s of warming up, 16 connections that send the same request. CPU is that of the
whole process: Durable Objects (storage on a disk in memory) and KV (a Map in a Worker of its own) are in it. A ratio is taken in each round against the
bare Worker of that round, which passes the request on to the upstream; then their median, and the quarter below and above.
"traced": every span exported by OTLP and every trace kept in the embedded store; "exported only": without the store.

## The bar: a hit costs at most ${HIT_BAR} × the bare Worker

| hit | case | allowed | measured |  |
| --- | --- | ---: | ---: | ---: |
${cases
  .filter(({ name }) => name !== PACED.model)
  .flatMap(barRows)
  .join("\n")}

## All cells

| case | target | CPU µs a request | × bare | quarter below | quarter above |
| --- | --- | ---: | ---: | ---: | ---: |
${cases.flatMap(rows).join("\n")}

"${PACED.model}" is a stream of ${PACED.chunks} chunks over some 130 ms. There one of ${CLIENTS} clients leads and the others follow, so a follower costs
about what a coalesced request does on the average; in the other cases an answer comes so fast that few requests overlap.

## Choosing a target

| strategy | µs a plan (four targets, Node) |
| --- | ---: |
${[...plans].map(([strategy, micros]) => `| ${strategy} | ${micros.toFixed(2)} |`).join("\n")}
`;
}

function ratiosOf({ micros }: CacheCase, target: string): readonly number[] {
  const bare = micros.get("bare") ?? [];
  return (micros.get(target) ?? [])
    .map((own, round) => own / (bare[round] ?? Number.NaN))
    .toSorted((a, b) => a - b);
}

function barRows(each: CacheCase): readonly string[] {
  return [...each.micros.keys()]
    .filter((name) => name.startsWith("hit"))
    .map((name) => {
      const ratio = median(ratiosOf(each, name));
      const verdict = ratio <= HIT_BAR ? "pass" : "**miss**";
      return `| ${name} | ${each.name} | ≤ ${HIT_BAR.toFixed(2)}× | ${ratio.toFixed(2)}× | ${verdict} |`;
    });
}

function rows(each: CacheCase): readonly string[] {
  return [...each.micros]
    .filter(([, { length }]) => length > 0)
    .map(([target, micros]) => {
      const ratios = ratiosOf(each, target);
      const cells = [0.5, 0.25, 0.75].map((at) => `${quantile(ratios, at).toFixed(2)}×`);
      return `| ${each.name} | ${target} | ${median(micros).toFixed(0)} | ${cells.join(" | ")} |`;
    });
}
