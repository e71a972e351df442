// Speaks to the server over the same endpoints that scripts use.

export async function look(what, query = {}) {
  const address = new URL(`/local/api/${what}`, location.origin);
  for (const [name, value] of Object.entries(query)) if (value) address.searchParams.set(name, value);
  const answer = await fetch(address);
  return answer.json();
}

export async function act(verb, body) {
  try {
    const answer = await fetch(`/local/api/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return await answer.json();
  } catch {
    return { ok: false, error: "workspace_unreachable", response_metadata: { messages: ["The local workspace does not answer. Is it still running?"] } };
  }
}

export function reasonOf(answer) {
  const reasons = answer.response_metadata?.messages ?? [];
  return reasons.length ? reasons.join(" ") : `That did not work (${answer.error}).`;
}

export function follow(onChange, onReconnect) {
  const source = new EventSource("/local/api/changes");
  let opened = false;
  source.onopen = () => {
    if (opened) onReconnect();
    opened = true;
  };
  source.onmessage = (message) => onChange(JSON.parse(message.data));
  source.onerror = () => onChange({ kind: "lost" });
}
