/** How {@link createFetch} reaches the server. Every field has a default. */
export interface Options {
  /**
   * Where the tokens are refreshed, by POST: `Auth.RefreshHandler()` on the server, on
   * the page's own origin. Default "/auth/refresh".
   */
  refreshURL?: string;

  /** Where the login is ended, by POST: `Auth.Logout()`. Default "/auth/logout". */
  signOutURL?: string;

  /**
   * How long a refresh or a sign-out may take, in milliseconds. It limits no
   * call: that is what a call's own signal is for. Default 10000.
   */
  timeout?: number;

  /**
   * Called when the login that this tab had, or looked for, is over: signed out
   * here, in another tab, or refused by the server. It may load the page again:
   * a page that is loaded when nobody is signed in is not told so. Default:
   * nothing is called.
   */
  onSignedOut?: () => void;
}

/** A fetch that keeps the login alive; see {@link createFetch}. */
export interface Fetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;

  /**
   * How long the access token lives, in seconds by this device's clock, which
   * may be wrong; 0 where a refresh is due or nobody is signed in. For a
   * display: whether a token is good is the server's to say.
   */
  secondsLeft(): number;

  /**
   * Whether somebody is signed in, after a refresh if one is due; undefined
   * where that cannot be told just now, as when the server is out of reach.
   * Never rejects.
   */
  signedIn(): Promise<boolean | undefined>;

  /**
   * Signs out, and tells every tab. It waits for a refresh under way, though no
   * longer than the time limit. Rejects, and the login goes on, where the server
   * cannot be reached in time or does not do it.
   */
  signOut(): Promise<void>;
}

/**
 * Returns a fetch for a page whose login is kept alive by tokenLife.
 *
 * It looks at the marker, the cookie that tells when tokens end, before each
 * call on the page's own origin. Where a refresh is due, there is one for all
 * calls of the tab and, by the Web Locks API, for all tabs; then the call is
 * sent. A call that is answered with 401 nevertheless is sent once more after a
 * refresh, if it is a GET or HEAD or the answer asks for a Bearer token. What
 * the refresh comes to, the caller gets the server's answer to its own call.
 *
 * It answers, rejects and aborts as fetch does. A call's signal ends that call,
 * not the refresh that others wait for. A body is taken when the function is
 * called. A ReadableStream can be sent only once, and is never retried; within a
 * Request it is a body like any other, and kept in memory until the answer.
 *
 * Passed on to fetch untouched: requests to other origins, those without
 * credentials or with an Authorization header of their own, and everything
 * where there is no document, as on a server, or no origin, as in a sandbox. A
 * keepalive request waits for no refresh.
 *
 * A refusal is remembered until the marker shows a new login: by all tabs where
 * it clears the marker, and by each for itself where it does not, as it may when
 * the user has just signed out elsewhere. A refresh that
 * fails otherwise is not tried again for the seconds that Retry-After tells,
 * else for two, at most for sixty.
 *
 * No global is changed and no timer runs. Create one per page; its listeners
 * stay as long as the page.
 */
export function createFetch(options?: Options): Fetch;
