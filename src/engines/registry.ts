/** The engines: one line each. Nothing else in the project knows them by name. */
import { MeridianError } from '../kernel/errors.ts';
import type { Connector, ConnectorServices } from './connector.ts';
import type { EngineAdapter } from './engine.ts';
import { postgresAdapter } from './postgres/adapter.ts';

const ADAPTERS: Readonly<Record<string, EngineAdapter>> = {
  postgres: postgresAdapter,
};

/** Throws ERR_ENGINE_UNSUPPORTED for an engine that is not built. */
export function adapterFor(name: string): EngineAdapter {
  const adapter = ADAPTERS[name];
  if (adapter !== undefined) return adapter;
  throw new MeridianError('ERR_ENGINE_UNSUPPORTED', `there is no engine "${name}"`, {
    remedy: `Use one of: ${Object.keys(ADAPTERS).join(', ')}.`,
  });
}

export function connectorFor(name: string, services: ConnectorServices): Connector {
  return adapterFor(name).connector(services);
}
