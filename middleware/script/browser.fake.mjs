// A browser as far as tokenlife.js knows one: cookies, locks, channels and a
// clock that its tabs share, and a server that the test plays.

export const origin = "https://app.example";

export class Browser {
  marker = ""; // the cookie's value; "" for none
  now = 0; // milliseconds
  requests = []; // in the order in which they were sent
  limits = []; // the time limits that are running: {ms, end()}
  queue = []; // who waits for the lock
  channels = new Set();

  /** Plays the server: gets what was sent and returns or promises a Response. */
  serve = () => new Response(null, { status: 200 });

  /** Makes this the browser that modules find, without what it is said to lack. */
  install(...lacks) {
    const browser = this;
    const globals = {
      document: Object.defineProperty(new EventTarget(), "cookie", {
        get: () => ["theme=dark", browser.marker && `tokenLife=${browser.marker}`, "nottokenLife=1"].filter(Boolean).join("; "),
      }),
      origin,
      cookieStore: new EventTarget(),
      navigator: { locks: { request: (name, options, work) => browser.#lock(name, options, work) } },
      BroadcastChannel: class {
        constructor(name) {
          this.name = name;
          browser.channels.add(this);
        }
        postMessage(data) {
          for (const other of browser.channels) {
            if (other !== this && other.name === this.name) queueMicrotask(() => other.onmessage?.({ data }));
          }
        }
      },
      // Node's own knows no base address.
      Request: class extends NodeRequest {
        constructor(input, init) {
          super(typeof input === "string" ? new URL(input, origin) : input, init);
        }
      },
      fetch: (input, init) => browser.#fetch(new globalThis.Request(input, init), input),
    };
    if (lacks.includes("locks")) delete globals.navigator.locks;
    for (const [name, value] of Object.entries(globals)) {
      Object.defineProperty(globalThis, name, {
        value: lacks.includes(name) ? undefined : value,
        configurable: true,
        writable: true,
      });
    }
    performance.now = () => browser.now;
    Date.now = () => browser.now;
    AbortSignal.timeout = (ms) => {
      const limit = new AbortController();
      browser.limits.push({ ms, end: () => limit.abort(new DOMException("too late", "TimeoutError")) });
      return limit.signal;
    };
    return this;
  }

  /** The requests to a path. */
  to(path) {
    return this.requests.filter((r) => r.path === path);
  }

  async #fetch(request, input) {
    request.signal.throwIfAborted();
    const { pathname, origin: where } = new URL(request.url);
    const sent = { path: pathname, origin: where, method: request.method, marker: this.marker, keepalive: request.keepalive, request, input };
    this.requests.push(sent);
    const body = request.arrayBuffer().then((b) => Buffer.from(b).toString());
    body.then((text) => (sent.body = text));
    return new Promise((resolve, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason));
      body.then(() => this.serve(sent)).then(resolve, reject);
    });
  }

  /** Exclusive locks of one name, granted in turn (W3C Web Locks, section 4). */
  #lock(name, { signal }, work) {
    return new Promise((resolve, reject) => {
      const wish = { go: () => Promise.resolve().then(work).then(resolve, reject).finally(() => this.#next()) };
      signal.addEventListener("abort", () => {
        const at = this.queue.indexOf(wish);
        if (at > 0) this.queue.splice(at, 1) && reject(signal.reason); // the first is under way
      });
      if (this.queue.push(wish) === 1) wish.go();
    });
  }

  #next() {
    this.queue.shift();
    this.queue[0]?.go();
  }
}

const NodeRequest = globalThis.Request;

/** Lets everything happen that waits for nothing from outside. */
export const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A promise, and how to keep it. */
export function later() {
  let resolve;
  const promise = new Promise((r) => (resolve = r));
  return { promise, resolve };
}

/** A 401 as tokenLife answers it. */
export const refusal = () => new Response(null, { status: 401, headers: { "WWW-Authenticate": 'Bearer realm="api"' } });

/** A live marker; the server's own generations are numbers. */
export const live = (generation) => `2000.${generation}`;

/** A server that refreshes, and answers everything else as api does. */
export function server(browser, { refresh = () => {}, api = () => new Response("yes") } = {}) {
  let generation = 0;
  return async (sent) => {
    if (sent.path !== "/auth/refresh") return api(sent);
    const answer = await refresh(sent);
    if (answer) return answer;
    browser.marker = live(++generation);
    return new Response(null, { status: 204 });
  };
}

/** An API that takes no token but those from the server's refreshes. */
export const revoked = (sent) => (/^2000\.\d/.test(sent.marker) ? new Response("yes") : refusal());

export const statuses = async (calls) => (await Promise.all(calls)).map((answer) => answer.status);
export const times = (n, f) => Array.from({ length: n }, (_, i) => f(i));
