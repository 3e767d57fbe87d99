import { credentials, parse, renewable } from './login.js';

/** Asks the API as the user whose request has these headers. */
export async function api(headers, path, init = {}) {
  return fetch(new URL(path, process.env.API_URL), {
    ...init,
    headers: { ...init.headers, ...credentials(headers) },
    cache: 'no-store',
    signal: AbortSignal.timeout(5_000),
  });
}

/**
 * What the API has at path for the user whose request has these headers, or null
 * if nobody is signed in. It throws where that cannot be told just now: a login
 * that still has its refresh token is not over.
 */
export async function get(headers, path) {
  const answer = await api(headers, path);
  if (answer.ok) return answer.json();
  if (answer.status === 401 && !renewable(parse(headers.get('cookie')))) return null;
  throw new Error(`the API answers ${path} with ${answer.status}`);
}
