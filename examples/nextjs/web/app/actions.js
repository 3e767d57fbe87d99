'use server';

import { revalidatePath } from 'next/cache';
import { headers } from 'next/headers';
import { redirect } from 'next/navigation';

import { api } from '../lib/api.js';

export async function addNote(form) {
  const answer = await api(await headers(), '/api/notes', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: String(form.get('text')) }),
  });
  if (answer.status === 401) redirect('/'); // which asks to sign in
  if (!answer.ok) throw new Error(`the API answers a note with ${answer.status}`);
  revalidatePath('/');
}
