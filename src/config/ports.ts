/** Which port each region's gateway listens at. Pure. */
import { DEFAULTS } from './defaults.ts';
import type { GatewayConfig } from './define-gateway.ts';

/** As declared, else `basePort` plus the region's place in the order of declaration; 0 stays 0. */
export function gatewayPorts(
  regions: readonly string[],
  gateway: GatewayConfig,
): Record<string, number> {
  const declared = new Map(Object.entries(gateway.ports ?? {}));
  const base = gateway.basePort ?? DEFAULTS.gateway.basePort;
  return Object.fromEntries(
    regions.map((region, index) => {
      const counted = base === 0 ? 0 : base + 1 + index;
      return [region, declared.get(region) ?? counted];
    }),
  );
}
