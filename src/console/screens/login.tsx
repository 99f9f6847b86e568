/**
 * Signing in by token. A link `/console/login#token=…&key=…`, as `npm start` prints it, signs in by itself and keeps the demo
 * tenant's key for the welcome page: a fragment never leaves the browser.
 */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, signIn } from "../data/api.ts";
import { keepDemoKey } from "../data/demo.ts";
import { readParam } from "../data/page-url.ts";
import { Icon, Mark } from "../view/icons.tsx";

export function LoginScreen(): JSX.Element {
  const [token, setToken] = useState("");
  const [says, setSays] = useState<string>();
  const enter = (value: string): void => {
    setSays(undefined);
    signIn(value).then(
      () => location.replace(nextPage()),
      (error: unknown) => setSays(explainRefusal(error, value)),
    );
  };
  useEffect(() => {
    const given = new URLSearchParams(location.hash.slice(1));
    const [givenToken, key] = [given.get("token"), given.get("key")];
    if (givenToken === null) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (key !== null) keepDemoKey(key);
    enter(givenToken);
  }, []);
  return (
    <main class="login" id="main">
      <form
        class="box form"
        onSubmit={(event) => {
          event.preventDefault();
          enter(token);
        }}
      >
        <p class="brand">
          <Mark />
          Headgate
        </p>
        <h1>Sign in</h1>
        {/* Password managers need a name to keep the token under. */}
        <input
          class="hidden"
          type="text"
          autocomplete="username"
          value="Headgate"
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <label>
          Admin token
          <input
            class="field"
            type="password"
            autocomplete="current-password"
            value={token}
            aria-invalid={says !== undefined}
            aria-describedby="login-says"
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <p id="login-says" class="says-bad" role="alert">
          {says !== undefined && <Icon name="failed" />} {says}
        </p>
        <button class="button primary" type="submit" disabled={token === ""}>
          Sign in
        </button>
        <p class="muted small">The token stays in a cookie that scripts can’t read, for 12 hours.</p>
      </form>
    </main>
  );
}

/** Which token is wanted, and which kind it was not. */
function explainRefusal(error: unknown, token: string): string {
  if (!(error instanceof ApiError)) return "The page could not sign in.";
  if (error.status !== 401) return error.message;
  if (token.startsWith("hg_")) {
    return "This is a gateway key: it calls models, and opens no console. Use an admin token.";
  }
  return "This token opens nothing here. Use the deployment’s ADMIN_TOKEN, or an admin token (hga_…).";
}

/** Only a page of the console: a link can't lead elsewhere. */
function nextPage(): string {
  const back = readParam("back") ?? "";
  return /^\/console\/[a-z]+(?:\?|$)/.test(back) ? back : "/console/requests";
}
