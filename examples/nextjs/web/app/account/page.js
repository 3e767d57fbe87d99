import { headers } from 'next/headers';

import Frame from '../../components/frame.js';
import SignIn from '../../components/signin.js';
import { get } from '../../lib/api.js';

export const metadata = { title: 'Account' };

export default async function Account() {
  const user = await get(await headers(), '/api/me');
  if (!user) return <SignIn returnTo="/account" />;
  return (
    <Frame user={user}>
      <h1>Account</h1>
      <dl className="card">
        <dt>Name</dt>
        <dd id="name">{user.subject}</dd>
        <dt>Access token</dt>
        <dd>was good for another <span id="left">{user.expires_in}</span> s when this page was rendered</dd>
      </dl>
      <p className="small">Stay here until it has ended, and go back to your notes by the link above: the login is renewed on the way.</p>
    </Frame>
  );
}
