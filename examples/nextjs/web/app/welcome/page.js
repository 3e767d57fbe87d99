export const metadata = { title: 'Welcome' };

// A page for everybody, rendered once, when the app is built.
export default function Welcome() {
  return (
    <main className="narrow">
      <h1>Notes</h1>
      <section className="card">
        <p>A Next.js app that has no idea of tokens. Go signs its users in and keeps their logins alive.</p>
        <a className="button primary" id="open" href="/">Open my notes</a>
      </section>
    </main>
  );
}
