import Head from 'next/head';

import Frame from '../components/frame.js';
import SignIn from '../components/signin.js';
import { get } from '../lib/api.js';

// A page of the pages router.
export default function Report({ user, notes }) {
  return (
    <>
      <Head><title>Report · Notes</title></Head>
      {user ? (
        <Frame user={user}>
          <h1>Report</h1>
          <p className="card">{user.subject} has <strong>{notes.length}</strong> {notes.length === 1 ? 'note' : 'notes'}.</p>
        </Frame>
      ) : <SignIn returnTo="/report" />}
    </>
  );
}

export async function getServerSideProps({ req }) {
  const headers = new Headers();
  for (const name of ['authorization', 'cookie']) {
    if (req.headers[name]) headers.set(name, req.headers[name]);
  }
  const [user, notes] = await Promise.all([get(headers, '/api/me'), get(headers, '/api/notes')]);
  return { props: { user, notes: notes ?? [] } };
}
