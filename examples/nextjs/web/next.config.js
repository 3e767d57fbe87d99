import { fileURLToPath } from 'node:url';

// The API's address, for the rewrites below at build time, and for what the
// server asks it at run time.
const api = process.env.API_URL;
if (!api) throw new Error('API_URL is not set: where is the API, such as http://localhost:8081?');

/** @type {import('next').NextConfig} */
const config = {
  poweredByHeader: false,
  turbopack: { root: fileURLToPath(new URL('.', import.meta.url)) },

  // To the browser the API is a part of this origin, so the cookies that it sets
  // are this origin's, and there is no CORS. With the gateway in front, /auth
  // does not get here.
  async rewrites() {
    return [
      { source: '/auth/:path*', destination: `${api}/auth/:path*` },
      { source: '/api/:path*', destination: `${api}/api/:path*` },
    ];
  },
};

export default config;
