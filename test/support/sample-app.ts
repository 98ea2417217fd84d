/**
 * An app server for tests of the app host, run as a process of its own. What it does is asked of it
 * by environment (at start) and by request (later).
 */
import { createServer } from 'node:http';

const mode = process.env['MODE'] ?? 'serve';
console.log(`sample app, mode ${mode}, pid ${String(process.pid)}`);
if (mode === 'crash') {
  console.error('cannot find my configuration');
  process.exit(7);
}
if (mode === 'stubborn') process.on('SIGTERM', () => {});

let healthy = true;
const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://x');
  request.resume();
  switch (url.pathname) {
    case '/healthz':
      // Unhealthy: it accepts, and never answers.
      if (healthy) response.end('ok');
      return;
    case '/hang':
      healthy = false;
      response.end('hanging from now on');
      return;
    case '/recover':
      healthy = true;
      response.end('well again');
      return;
    case '/crash':
      process.exit(3);
      return;
    case '/slow':
      setTimeout(
        () => {
          response.end(`slept, pid ${String(process.pid)}`);
        },
        Number(url.searchParams.get('ms')),
      );
      return;
    default:
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ pid: process.pid, env: process.env, cwd: process.cwd() }));
  }
});
// Mode 'deaf': alive, and listening nowhere.
if (mode === 'deaf') setInterval(() => {}, 1_000);
else server.listen(Number(process.env['PORT']), process.env['HOST']);

if (mode !== 'stubborn') {
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
  });
}
