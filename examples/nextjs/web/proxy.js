import { NextResponse } from 'next/server';

import { apply, due, format, parse } from './lib/login.js';

// Without it the API would refuse every call from here as one of another origin,
// and logins would end for no reason that anybody sees.
const origin = process.env.PUBLIC_URL;
if (!origin) throw new Error('PUBLIC_URL is not set: where do browsers find this app, such as https://app.example?');

// Renews the login before a page is rendered, since a server component cannot
// set cookies. This is for a Next.js that browsers talk to directly; with the
// gateway in front, leave this file out.
//
// It runs once for each request. Requests that come at the same time with the
// same cookies may all ask: the API makes one exchange of them and gives each
// the same new cookies.
export async function proxy(request) {
  const cookies = parse(request.headers.get('cookie'));
  if (!due(cookies)) return NextResponse.next();

  const answer = await renew(request);
  // 204: renewed. 401: the login is over, and its cookies are cleared. All else
  // tells nothing about the login: the page is rendered with what there is, and
  // the next request asks again.
  if (answer?.status !== 204 && answer?.status !== 401) return NextResponse.next();

  // One line for each cookie; headers.get would join them with commas.
  const lines = answer.headers.getSetCookie();
  const headers = new Headers(request.headers);
  headers.set('cookie', format(apply(cookies, lines)));
  const response = NextResponse.next({ request: { headers } });
  for (const line of lines) response.headers.append('set-cookie', line);
  // Also a page that is otherwise the same for all must not be kept with
  // somebody's cookies.
  response.headers.set('cache-control', 'private, no-store');
  return response;
}

async function renew(request) {
  try {
    return await fetch(new URL('/auth/refresh', process.env.API_URL), {
      method: 'POST',
      headers: {
        cookie: request.headers.get('cookie'),
        // A form or a script of another origin says so, and the API refuses
        // it. Where a browser sends no Origin, it is a navigation or a GET.
        origin: request.headers.get('origin') ?? origin,
      },
      cache: 'no-store',
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000), // longer than the API waits for the provider
    });
  } catch {
    return null;
  }
}

export const config = {
  // All but files, which are the same for everybody, and what the API answers,
  // which renews by itself. Prefetches are not left out: what they bring may be
  // shown later as it is.
  matcher: ['/((?!_next/static/|_next/image|api/|auth/|icon.svg$).*)'],
};
