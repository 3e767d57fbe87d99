'use client';

// What is shown where the API cannot be reached, or cannot tell just now who is
// signed in. A full reload asks again from the start.
export default function Failed() {
  return (
    <main className="narrow">
      <h1>That did not work</h1>
      <section className="card">
        <p>Something this page needs cannot be reached just now. It will be back.</p>
        <button className="primary" onClick={() => window.location.reload()}>Try again</button>
      </section>
    </main>
  );
}
