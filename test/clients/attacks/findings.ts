// The findings of the security review of 2026-11-30 (8 high, 13 medium, 13 low), what the gateway does now, and the tests that prove
// it. The table in src/docs/security.md is written from this; test/unit/repo/security-table.test.ts looks each test up.

export interface Finding {
  /** As the review numbered it: H high, M medium, L low. */
  readonly id: string;
  /** What could be done. */
  readonly fault: string;
  /** What happens now. */
  readonly now: string;
  /** A file under test/, and the name of a test, group or case in it. */
  readonly tests: readonly (readonly [file: string, name: string])[];
}

export const FINDINGS: readonly Finding[] = [
  {
    id: "H1",
    fault: "`..` in a model's name passed a key's list of models and left the account's base path",
    now: "400 before the list is looked at, in every encoding; the final URL is checked again before the call",
    tests: [
      ["unit/gateway/unsafe-names.test.ts", "is never called for the model %j"],
      ["unit/runtime/safe-names.test.ts", "%j is refused: %s"],
      ["clients/attacks/models.ts", "A model's name that is more than a name"],
    ],
  },
  {
    id: "H2",
    fault: "`/proxy` opened the whole vendor account to every key",
    now: "403 unless the provider's `native` list opens method and path; endpoints that make credentials or run the organisation never",
    tests: [
      ["clients/proxy.test.ts", "only what the provider's record opens, which says how to open it"],
      ["clients/proxy.test.ts", "never what makes a vendor's credential, though all is open"],
      ["clients/attacks/paths.ts", "A vendor's own API beyond what its record opens"],
    ],
  },
  {
    id: "H3",
    fault:
      "budgets did not see unpriced models, native streams, images, calls that were left, nor what was under way",
    now: "what can't be priced is refused, native and media calls are counted, output is reserved, what was left is owed, and embeddings wait for admission",
    tests: [
      [
        "clients/limits/budget.test.ts",
        "holds for 100 streams at once without `max_tokens`: what is under way is reserved",
      ],
      ["clients/limits/budget.test.ts", "is refused under a budget, by name and with what to do"],
      ["clients/limits/budget.test.ts", "counts a chat stream that did not ask for its usage"],
      [
        "clients/limits/media-budget.test.ts",
        "images under way are reserved: ten at once never cost more than a budget of 10 cents",
      ],
      [
        "clients/limits/ledger-fates.test.ts",
        "before the first byte owes the prompt, which the vendor has read, and its slot is free",
      ],
      [
        "clients/caching/semantic-cache.test.ts",
        "stops paying for embeddings once a request of it was refused",
      ],
    ],
  },
  {
    id: "H4",
    fault: "one prompt held an isolate for seconds in a quadratic regular expression",
    now: "every regular expression is linear, timed with its own worst input",
    tests: [
      ["unit/repo/regular-expressions.test.ts", "the check finds that /%s/ is not linear"],
      ["unit/repo/regular-expressions.test.ts", "are found, written and built"],
    ],
  },
  {
    id: "H5",
    fault: "a mask that was sent back carried the stored credential to another address",
    now: "400 where kind, scheme, host, port or an option that makes the host differs; the seal is bound to the same",
    tests: [
      ["unit/tenants/records/sealing.test.ts", "are not kept for another %s: a mask would carry them off"],
      [
        "unit/tenants/records/sealing.test.ts",
        "are not kept for another host that %s makes of its options: %j, then %j",
      ],
      ["unit/tenants/records/sealing.test.ts", "are not kept for another address or service: %j"],
      ["clients/attacks/addresses.ts", "A stored credential to another address, by its mask"],
    ],
  },
  {
    id: "H6",
    fault: "a web page could use a developer's local run by DNS rebinding or a form",
    now: "a local run answers to three hosts on every path but the console's static pages, its token is random, and foreign origins and bodies that aren't JSON are refused",
    tests: [
      ["clients/attacks/headers.ts", "A name that leads to a local run (DNS rebinding)"],
      ["clients/attacks/headers.ts", "Web pages of other sites"],
      ["worker/http/admin-auth.test.ts", "checks the Host header too, where the URL says otherwise"],
      [
        "unit/local/local-settings.test.ts",
        "the admin token is random, stays the same for a state folder, and is readable by its owner only",
      ],
      ["unit/local/start.test.ts", "a port in use, named by %s, ends it before anything else"],
    ],
  },
  {
    id: "H7",
    fault: "a new tenant of a deleted one's name got its answers, traces and spend",
    now: "deletion empties every object and says what is left until when; the name is free only then, and each generation has keys of its own",
    tests: [
      ["clients/limits/queue.test.ts", "loses its tenant by a deletion"],
      [
        "worker/tenants/erasure.test.ts",
        "empties every object of its own, and says what is gone and what remains",
      ],
      [
        "worker/tenants/second-tenant.test.ts",
        "has spent only what its own requests cost, and gets answers of its own",
      ],
      ["worker/tenants/second-tenant.test.ts", "finds none of the first one's traces, by list or by id"],
      [
        "unit/tenants/source.test.ts",
        "of KV to forget a deleted tenant is noticed: its queue object is empty by then",
      ],
    ],
  },
  {
    id: "H8",
    fault: "a client's header changed what the operator wrote on its key",
    now: "the key's metadata wins, in routes and on the trace",
    tests: [
      ["clients/attacks/keys.test.ts", "wins over the client's words, in routes and on the trace"],
      [
        "unit/pipeline/request-options.test.ts",
        "labels are the client's, and over them those of the key's record",
      ],
    ],
  },
  {
    id: "M1",
    fault: "a Bedrock region with a host in it left the address guard",
    now: "options that become a host name have a pattern, and the final URL of every call is checked",
    tests: [
      ["unit/gateway/unsafe-names.test.ts", "of kind %s with %j is checked before it is sent"],
      ["unit/providers/vertex.test.ts", "a location can't name another host, and a project must be known"],
      ["clients/attacks/addresses.ts", "Into the operator's network, by addresses in records"],
    ],
  },
  {
    id: "M2",
    fault: "kinds whose default address is this machine were not refused when deployed",
    now: "refused like any private address, when the record is opened and at the call",
    tests: [
      ["unit/gateway/unsafe-names.test.ts", '["ollama", {}, "http://localhost:11434/v1"]'],
      [
        "unit/tenants/records/sealing.test.ts",
        "are not opened for an address that the deployment's rules have come to refuse",
      ],
    ],
  },
  {
    id: "M3",
    fault: "a control character in a model's name: the vendor was called, then a 500 without a trace",
    now: "400 before any call, and the trace is finished whatever describing the request throws",
    tests: [
      ["unit/runtime/safe-names.test.ts", "gpt-4o\\r\\nx-evil: 1"],
      ["clients/attacks/models.ts", "A model's name that is more than a name"],
      ["clients/fuzz/fuzz.test.ts", "mutated requests over all routes"],
    ],
  },
  {
    id: "M4",
    fault: "a vendor's refusal under `/proxy` showed the credential it quoted",
    now: "refusals are read, bounded and scrubbed, body and headers; successful answers where the record has `scrubAnswers`",
    tests: [
      [
        "clients/proxy.test.ts",
        "of a refusal that repeats the credential gives it scrubbed, and nothing but text",
      ],
      ["clients/proxy.test.ts", "of a refusal that is cut within the credential gives no part of it"],
      ["unit/upstream/native.test.ts", "to the client never hold the account's secret"],
      ["clients/scrub-answers.test.ts", "the vendor's own API: the middle of its stream is searched too"],
    ],
  },
  {
    id: "M5",
    fault: "an upstream could fill the isolate's memory",
    now: "whole answers, single events and errors have limits, by their decoded size",
    tests: [
      ["clients/upstream-bodies.test.ts", "whole, compressed to a thousandth"],
      ["clients/upstream-bodies.test.ts", "one event of a stream"],
      ["clients/upstream-bodies.test.ts", "an error whose body never ends keeps its status"],
    ],
  },
  {
    id: "M6",
    fault: "idempotency keys belonged to the tenant: other keys' answers, and names burnt for others",
    now: "they belong to the gateway key unless the tenant shares; replays have a rate, kept answers a cap in bytes",
    tests: [
      [
        "clients/attacks/keys.test.ts",
        "by an idempotency key is its own, and the name is free to the others",
      ],
      ["unit/gateway/ownership.test.ts", "two gateway keys don't share an idempotency key"],
      [
        "worker/caching/inflight.test.ts",
        "has its oldest answers dropped above the object's share, and still knows that they were given",
      ],
    ],
  },
  {
    id: "M7",
    fault: "cache hits and lists of models passed no limit",
    now: "429 beyond a rate of their own, for replays, wrong requests and names that don't exist as well",
    tests: [
      [
        "clients/limits/unqueued-rate.test.ts",
        "%s are refused beyond their rate, with a Retry-After after which one is answered",
      ],
      [
        "unit/limits/isolate/unqueued-rate.test.ts",
        "is as the records say, else ten times the requests of key or tenant, at least 600, else without bound",
      ],
    ],
  },
  {
    id: "M8",
    fault: "a header switched the cache on where the tenant had it off",
    now: '`cache.enabled: "never"` holds whatever the header',
    tests: [
      ["unit/cache/policy.test.ts", "is off, whatever the header (%s), where the tenant's cache is never on"],
      ["unit/cache/policy.test.ts", "is not switched on by the no-cache that clients send unasked"],
    ],
  },
  {
    id: "M9",
    fault: "one key filled the tenant's queue for all others",
    now: "a full queue gives each key its share of the places, from the key with the most waiting",
    tests: [
      [
        "unit/limits/queue/queue-machine.test.ts",
        "gives a key its share of the places of a full queue, from the key with the most waiting",
      ],
      ["clients/limits/queue.test.ts", "has a place for a key that waits less than the one that fills it"],
    ],
  },
  {
    id: "M10",
    fault: "no limits by default, and no ceiling by the operator",
    now: "`DEFAULT_LIMITS` and `MAX_LIMITS` hold for every tenant and key, stored before or written now",
    tests: [
      [
        "clients/limits/deployment-limits.test.ts",
        "a new deployment's defaults and ceilings hold for tenants that were there before",
      ],
      [
        "unit/tenants/records/limit-rules.test.ts",
        "are what a reader of a stored record gets, whenever it was written",
      ],
    ],
  },
  {
    id: "M11",
    fault: "an admin token of one character, guessed at full speed, without a record",
    now: "24 characters when deployed; wrong tokens make their network wait and are audited; tokens with roles for people",
    tests: [
      ["unit/config.test.ts", "take a short admin token in a local run only"],
      [
        "worker/http/admin-auth.test.ts",
        "makes an address that guesses wait, right token or not, and audits it; others are let in",
      ],
      ["unit/runtime/failure-limiter.test.ts", "bounds what an address can guess in an hour"],
      ["worker/tenants/admin-tokens.test.ts", "refuses the token behind the last one, and says what to do"],
    ],
  },
  {
    id: "M12",
    fault: "one key could plant answers for another by their meaning",
    now: "the semantic cache belongs to the gateway key unless the tenant shares",
    tests: [
      ["clients/attacks/keys.test.ts", "by its meaning is its own, unless the tenant shares"],
      ["clients/caching/semantic-cache.test.ts", "another tenant with the very same route"],
    ],
  },
  {
    id: "M13",
    fault: "unknown keys that are well formed each cost the directory a call",
    now: "look-ups are bounded by network, in total, and by the platform's limiter; valid keys are still served",
    tests: [
      [
        "clients/unknown-keys.test.ts",
        "unknown keys are refused with 401, then with 429 for their network, then with 503 for all; valid ones are served",
      ],
      [
        "unit/tenants/lookup-budget.test.ts",
        "is asked by network, before KV, and what it refuses is not looked up",
      ],
    ],
  },
  {
    id: "L1",
    fault: "a deployment with the demo's settings was open to `Host: localhost` with the token `dev`",
    now: "no token is built in: without `ADMIN_TOKEN` the admin plane is a 503",
    tests: [
      ["worker/http/admin-auth.test.ts", "has no token of its own in a local run"],
      ["worker/http/admin-auth.test.ts", "is closed with 503 to all where no token is set"],
    ],
  },
  {
    id: "L2",
    fault: "a path with a broken escape under `/proxy` was a 500",
    now: "400, and no mutated path is a 500",
    tests: [
      ["clients/attacks/paths.ts", "Out of a vendor's base path"],
      ["unit/upstream/native.test.ts", "never leaves its base, whatever it is"],
      ["clients/fuzz/fuzz.test.ts", "mutated requests over all routes"],
    ],
  },
  {
    id: "L3",
    fault: "headers that steer proxies and vendors passed to the upstream",
    now: "request headers pass by a list for each kind",
    tests: [
      ["clients/attacks/headers.ts", "Headers on the way to a vendor and back"],
      ["clients/attacks/models.ts", "An address that the client chooses"],
    ],
  },
  {
    id: "L4",
    fault: "a vendor's headers about browsers, cookies and the operator's account reached clients",
    now: "only headers about the answer pass, with `nosniff` and a sandboxing policy",
    tests: [
      [
        "unit/upstream/native.test.ts",
        "to the client are about the answer, not about the vendor, the account or the browser",
      ],
      [
        "clients/proxy.test.ts",
        "of a refusal that repeats the credential gives it scrubbed, and nothing but text",
      ],
      ["clients/attacks/headers.ts", "from a vendor's own API"],
    ],
  },
  {
    id: "L5",
    fault: "anyone could add to another tenant's trace by its id",
    now: "a caller's trace is joined only once its tenant is known; tenants under one id are drawn and listed apart",
    tests: [
      [
        "unit/telemetry/trace/request-trace.test.ts",
        "adds nothing to the caller's trace while it is not known who calls",
      ],
      [
        "unit/telemetry/waterfall/waterfall.test.ts",
        "requests of two tenants under one trace id are drawn apart, and those of one are not",
      ],
      ["clients/attacks/tokens.ts", "a tenant's admin opens another's trace by its id"],
    ],
  },
  {
    id: "L6",
    fault: "`workers.dev` and preview addresses were a second door beside the zone's rules",
    now: "both are off, for every environment of the file",
    tests: [
      ["unit/repo/deployment.test.ts", "%s is off: no second name beside the one with access rules"],
      ["unit/repo/deployment.test.ts", "nothing further down in the file switches them on again"],
    ],
  },
  {
    id: "L7",
    fault: "gateway keys in URLs were kept by the platform's logs",
    now: "the platform logs no URLs; no trace, log or stored row has such a key, and vendors don't get it",
    tests: [
      ["unit/repo/deployment.test.ts", "no log or span of the platform holds the URL of a request"],
      ["clients/telemetry/canaries.test.ts", "/v1beta/models?key=${key}"],
      ["clients/telemetry/canaries.test.ts", "/proxy/up/models?key=${key}&a=1"],
    ],
  },
  {
    id: "L8",
    fault: "the listed origins of CORS could call `/admin`",
    now: "CORS covers the data plane only",
    tests: [
      ["clients/attacks/keys.test.ts", '"/admin/tenants", "/admin/traces", "/metrics"'],
      ["clients/attacks/headers.ts", "by a page that is listed for the data plane"],
    ],
  },
  {
    id: "L9",
    fault: "names of private networks passed the guard of addresses",
    now: "they are refused, and so are names that resolve to what they spell",
    tests: [
      ["unit/runtime/public-url.test.ts", "https://ldap.corp"],
      ["unit/runtime/public-url.test.ts", "https://box.tail1234.ts.net"],
      ["clients/attacks/addresses.ts", "Into the operator's network, by addresses in records"],
    ],
  },
  {
    id: "L10",
    fault: "deep or crowded bodies held the isolate, or were a 503",
    now: "400 for too many levels, members, values or form parts, on every route",
    tests: [
      ["clients/body-limits.test.ts", "is a 400 on %s"],
      ["clients/body-limits.test.ts", "is a 400 at %s %s"],
      ["clients/attacks/bodies.ts", "a form of 101 parts"],
    ],
  },
  {
    id: "L11",
    fault: "half a body held its connection without end",
    now: "408 and a closed connection, on every route",
    tests: [
      [
        "clients/body-limits.test.ts",
        "a body that stops in its middle is a 408 on every route, and its connection is closed",
      ],
      ["unit/http/read-body.test.ts", "gets more time for what has arrived, and no more than that"],
    ],
  },
  {
    id: "L12",
    fault: "made-up models filled the tenant's metrics",
    now: "a label only for models that a route or a price lists; the rest count together",
    tests: [
      ["unit/telemetry/metrics/sample-trace.test.ts", "are one label together where none does: %j"],
      ["unit/telemetry/metrics/sample-trace.test.ts", "are labels where the tenant's own route names them"],
      ["unit/telemetry/metrics/exposition.test.ts", "escapes what a label's value may hold"],
    ],
  },
  {
    id: "L13",
    fault: "streams and sessions outlived the key that opened them",
    now: "they end within a lease's renewal, and a live view of a queue with its admin token",
    tests: [
      [
        "clients/limits/queue.test.ts",
        "loses its streams within a lease's renewal, with an error and without an end mark",
      ],
      [
        "clients/realtime/realtime-end.test.ts",
        "comes with the key's: 1008 within a lease's renewal, after an error event",
      ],
      [
        "worker/limits/tenant-queue-live.test.ts",
        "is closed in place of the next sample; who watches with other tokens goes on",
      ],
    ],
  },
];
