import './globals.css';

export const metadata = {
  title: { default: 'Notes', template: '%s · Notes' },
  description: 'A Next.js app whose logins are kept alive by Go',
};

export const viewport = { width: 'device-width', initialScale: 1, colorScheme: 'light dark' };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
