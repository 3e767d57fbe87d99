import Link from 'next/link';

// The bar above all pages of a user who is signed in.
export default function Frame({ user, children }) {
  return (
    <>
      <header className="bar">
        <p className="brand">Notes <span>Next.js with tokenLife</span></p>
        <nav>
          <Link href="/">Notes</Link>
          <Link href="/account">Account</Link>
          <Link href="/report">Report</Link>
        </nav>
        {/* A plain form: signing out works without scripts, and is a full navigation. */}
        <form className="who" action="/auth/logout" method="post">
          <span>Signed in as <strong id="user">{user.subject}</strong></span>
          <input type="hidden" name="return_to" value="/welcome" />
          <button id="signout">Sign out</button>
        </form>
      </header>
      <main>{children}</main>
    </>
  );
}
