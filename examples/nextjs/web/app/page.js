import { headers } from 'next/headers';

import Frame from '../components/frame.js';
import SignIn from '../components/signin.js';
import { get } from '../lib/api.js';
import { addNote } from './actions.js';

export default async function Notes() {
  const request = await headers();
  const [user, notes] = await Promise.all([get(request, '/api/me'), get(request, '/api/notes')]);
  if (!user || !notes) return <SignIn returnTo="/" />;
  return (
    <Frame user={user}>
      <h1>Notes of {user.subject}</h1>
      <form className="card" action={addNote}>
        <label htmlFor="text">New note</label>
        <div className="row">
          <input id="text" name="text" required maxLength={200} autoComplete="off" />
          <button className="primary" id="add">Add</button>
        </div>
        <p className="small">A server action: it goes through even if the access token has ended meanwhile.</p>
      </form>
      {notes.length === 0 && <p className="small">There are none yet.</p>}
      <ul className="notes" id="notes">
        {notes.map((note) => <li key={note.id}>{note.text}</li>)}
      </ul>
    </Frame>
  );
}
