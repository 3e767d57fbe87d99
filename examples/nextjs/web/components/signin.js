// What is shown instead of a page that needs a login. It is an <a> and no
// <Link>: signing in leaves the app, and must not be fetched ahead.
export default function SignIn({ returnTo }) {
  return (
    <main className="narrow">
      <h1>Your notes, after signing in</h1>
      <section className="card">
        <p>Nobody is signed in here, or the login is over.</p>
        <a className="button primary" id="signin" href={`/auth/login?return_to=${encodeURIComponent(returnTo)}`}>Sign in</a>
      </section>
    </main>
  );
}
