/** The bank's process: a stateless HTTP server, started by the platform with its place in MERIDIAN_*. */
import { connect } from 'meridian';
import { buildServer } from './routes.ts';

const db = await connect();
const server = buildServer(db, {
  name: `${db.region}.${String(process.pid)}`,
  reportFault: (error) => {
    console.error(error);
  },
});

// Answers what is in flight, then lets go of the database; idle connections end by themselves.
const stop = async (): Promise<void> => {
  await server.close();
  await db.close();
};

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    stop().catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
}

await server.listen({
  host: process.env['HOST'] ?? '127.0.0.1',
  port: Number(process.env['PORT'] ?? 3000),
});
