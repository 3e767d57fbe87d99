// tokenlife.js: a fetch for pages whose login is kept alive by tokenLife.
// What it promises is told in tokenlife.d.ts.

/** The marker: "<end>.<generation>", "0" once signed out, "" when a refresh is due. */
const marker = () => /(?:^|; )tokenLife=([^;]*)/.exec(document.cookie)?.[1] ?? "";

/** Lets a caller go when its signal says so; what it waited for goes on. */
const unlessAborted = (signal, work) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });

export function createFetch({
  refreshURL = "/auth/refresh",
  signOutURL = "/auth/logout",
  timeout = 10000,
  onSignedOut,
} = {}) {
  // A sandboxed page has no origin, and no cookies that it may look at.
  const inPage = typeof document !== "undefined" && globalThis.origin !== "null";
  let pending; // this tab's refresh under way
  let quietUntil = 0; // no refresh before, after one that came to nothing
  let refused = false; // by a server that left no marker to tell so
  let useless; // the marker with which neither a retry nor a refresh was of use
  let known = false; // this tab has seen a login
  let out = inPage && marker() === "0";
  let channel;

  /** Returns the marker, and notices what it says, whoever has written it. */
  const look = () => {
    const value = marker();
    if (value) refused = false;
    if (value && value !== "0") known = true;
    // Without a marker, a visitor who has never signed in is refused as well.
    const over = value === "0" || (refused && known);
    if (over && !out && onSignedOut) queueMicrotask(() => onSignedOut());
    out = over;
    return value;
  };

  const tellTabs = () => {
    look();
    channel?.postMessage(refused);
  };

  if (inPage) {
    if (globalThis.BroadcastChannel) {
      channel = new BroadcastChannel("tokenLife");
      channel.onmessage = ({ data }) => {
        refused = data;
        look();
      };
    }
    // A sign-out by a form tells no channel. The second is for browsers without
    // a cookie store, and for pages that come back from the history.
    globalThis.cookieStore?.addEventListener("change", look);
    document.addEventListener("visibilitychange", look);
  }

  const rest = (seconds) => {
    quietUntil = performance.now() + Math.min(Number(seconds) || 2, 60) * 1000;
  };

  const refresh = async (seen, signal) => {
    // Another tab may have been here while this one waited for the lock.
    const value = look();
    if (value && value !== seen) return value !== "0";
    // The answer's cookies are wanted even if the page goes away meanwhile.
    const answer = await fetch(refreshURL, { method: "POST", keepalive: true, signal });
    if (answer.status === 401) {
      refused = true;
      useless = value;
      tellTabs();
    } else if (!answer.ok || !look()) {
      rest(answer.headers.get("Retry-After"));
    }
    return answer.ok;
  };

  /** Does work while no tab refreshes or signs out, or at least not this one. */
  const alone = (signal, work) =>
    navigator.locks ? navigator.locks.request("tokenLife", { signal }, work) : Promise.resolve(pending).then(work);

  /** Sees to another marker than the one seen; tells whether a call may do better now. */
  const renew = async (seen) => {
    if (!pending) {
      if (refused || performance.now() < quietUntil) return false;
      // One limit for the wait for the lock and for the answer.
      const signal = AbortSignal.timeout(timeout);
      pending = alone(signal, () => refresh(seen, signal))
        .catch(() => rest()) // no answer ends no login
        .finally(() => (pending = undefined));
    }
    return pending;
  };

  const call = async (input, init) => {
    if (!inPage) return fetch(input, init);
    // The request as it is now, whatever becomes of its body while it waits.
    const request = new Request(input, init);
    const { signal } = request;
    if (
      new URL(request.url).origin !== globalThis.origin ||
      request.credentials === "omit" ||
      request.headers.has("Authorization") // decides alone, whatever the cookies are
    ) {
      return fetch(request);
    }
    const spare = init?.body?.getReader ? null : request.clone(); // a stream is sent once
    // A request that is to outlive its page cannot wait for anything.
    if (!look() && !request.keepalive) await unlessAborted(signal, renew(""));
    const seen = look();
    const answer = await fetch(request);
    if (answer.status !== 401 || !spare || look() === "0" || seen === useless) return answer;
    // A 401 that asks for no token may be a sign-in form's: nothing to send twice.
    const asked = /\bBearer\b/i.test(answer.headers.get("WWW-Authenticate"));
    if (!asked && !/^(GET|HEAD)$/.test(request.method)) return answer;
    if (!(await unlessAborted(signal, renew(seen)))) return answer;
    answer.body?.cancel().catch(() => {}); // nobody misses what was lost on the way
    // The page is here, and a body is not counted twice among those that may outlive it.
    const again = await fetch(spare, request.keepalive ? { keepalive: false } : undefined);
    if (again.status === 401) useless = look();
    return again;
  };

  return Object.assign(call, {
    secondsLeft: () => (inPage && Math.max(0, parseInt(look()) - Date.now() / 1000)) || 0,

    signedIn: async () => {
      if (!inPage) return undefined;
      if (!look()) await renew("");
      const value = look();
      return value ? value !== "0" : refused ? false : undefined;
    },

    signOut: async () => {
      const send = async () => {
        const answer = await fetch(signOutURL, { method: "POST", signal: AbortSignal.timeout(timeout) });
        if (!answer.ok) throw new Error(`tokenlife: the sign-out was answered with ${answer.status}`);
        tellTabs();
      };
      let sent;
      const once = () => (sent ??= send());
      // The answer to a refresh under way would bring cookies back. But who wants
      // to be out is not kept by one that hangs.
      await alone(AbortSignal.timeout(timeout), once).catch(() => {});
      return once();
    },
  });
}
