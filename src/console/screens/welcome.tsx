/** The first minute: send the demo route a question, watch it, and read where its time went. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { readTrace } from "../data/traces.ts";
import { traceHref } from "../data/page-url.ts";
import { type DemoExchange, keptDemoKey, sendQuestion } from "../data/demo.ts";
import type { RequestView } from "../model/steps.ts";
import { durationText } from "../model/words.ts";
import { Frame } from "../view/frame.tsx";
import { CopyButton, Failed, Outside } from "../view/text.tsx";
import { TraceView } from "./trace.tsx";

const DEMO = "demo";
const QUESTION = "Why is the sky blue?";
/** The trace is stored within a moment after the last byte. */
const STORE_TRIES = 20;
const STORE_PAUSE_MS = 150;
const TICK_MS = 100;

export function WelcomeScreen(): JSX.Element {
  const [key, setKey] = useState(keptDemoKey);
  const [question, setQuestion] = useState(QUESTION);
  const [exchange, setExchange] = useState<DemoExchange>();
  const [request, setRequest] = useState<RequestView>();
  const [error, setError] = useState<unknown>();
  const sentAt = useRef(0);
  const isRunning = exchange !== undefined && !exchange.isDone;

  const send = (): void => {
    setError(undefined);
    setRequest(undefined);
    sentAt.current = Date.now();
    sendQuestion({ key, question, onProgress: setExchange })
      .then(({ traceId }) => readStored(traceId))
      .then(setRequest, setError);
  };
  return (
    <Frame screen="welcome" tenant={DEMO}>
      <h1>It runs. Send it a question.</h1>
      <p class="hint">
        The demo route calls a simulated model, in this gateway. Its first target fails every other time; then
        the next one answers.
      </p>
      <form
        class="box form pad"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <label>
          Gateway key
          <input
            class="field mono"
            value={key}
            placeholder="hg_…, as npm start printed it"
            onInput={(event) => setKey(event.currentTarget.value.trim())}
          />
        </label>
        <label>
          Question
          <input class="field" value={question} onInput={(event) => setQuestion(event.currentTarget.value)} />
        </label>
        <div class="bar-row">
          <button class="button primary" type="submit" disabled={key === "" || isRunning}>
            Send it
          </button>
          {isRunning && <Elapsed since={sentAt.current} />}
        </div>
      </form>
      <Snippet keyText={key} question={question} />
      {exchange !== undefined && (
        <section class="box pad spaced" aria-label="The answer">
          <p dir="auto">
            <Outside text={exchange.text === "" ? "…" : exchange.text} />
          </p>
        </section>
      )}
      {error !== undefined && <Failed error={error} onRetry={send} />}
      {request !== undefined && (
        <section class="spaced">
          <TraceView request={request} tenant={DEMO} />
          <p>
            <a href={traceHref(request.root.span.traceId, DEMO)}>Open this trace</a>
          </p>
        </section>
      )}
    </Frame>
  );
}

async function readStored(traceId: string): Promise<RequestView> {
  for (let tries = 1; ; tries += 1) {
    try {
      const [request] = await readTrace(traceId, DEMO);
      if (request !== undefined) return request;
    } catch (error) {
      if (tries >= STORE_TRIES) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, STORE_PAUSE_MS));
  }
}

function Elapsed({ since }: { readonly since: number }): JSX.Element {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return <span class="muted">{durationText(now - since)} so far</span>;
}

function Snippet({
  keyText,
  question,
}: {
  readonly keyText: string;
  readonly question: string;
}): JSX.Element {
  const key = keyText === "" ? "GATEWAY_KEY" : keyText;
  const body = JSON.stringify({ model: DEMO, stream: true, messages: [{ role: "user", content: question }] });
  const text = `curl -iN ${location.origin}/v1/chat/completions \\
  -H 'authorization: Bearer ${key}' \\
  -H 'content-type: application/json' \\
  -d '${body.replaceAll("'", String.raw`'\''`)}'`;
  return (
    <details class="box pad spaced">
      <summary>The same from a terminal</summary>
      <div class="raw">
        <CopyButton text={text} name="command" />
        <pre class="code" tabIndex={0}>
          {text}
        </pre>
      </div>
    </details>
  );
}
