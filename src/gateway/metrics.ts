/** A gateway's counters as samples. Pure. */
import type { Sample } from '../control/metrics/sample.ts';
import type { MetricName } from '../control/metrics/table.ts';
import type { GatewayCounters } from './counters.ts';

export function gatewaySamples(counters: GatewayCounters): Sample[] {
  const plain: Partial<Record<MetricName, number>> = {
    meridian_gateway_requests_total: counters.requests,
    meridian_gateway_requests_in_flight: counters.inFlight,
    meridian_gateway_retries_total: counters.retries,
    meridian_gateway_reroutes_total: counters.reroutes,
    meridian_gateway_truncated_total: counters.truncated,
    meridian_gateway_client_aborts_total: counters.clientAborts,
    meridian_gateway_websockets_total: counters.websockets,
    meridian_gateway_websockets_open: counters.websocketsOpen,
  };
  return [
    ...Object.entries(plain).map(([name, value]): Sample => ({
      name: name as MetricName,
      labels: {},
      value,
    })),
    ...labelled('meridian_gateway_forwarded_total', 'reason', counters.forwarded),
    ...labelled('meridian_gateway_refused_total', 'code', counters.refused),
  ];
}

function labelled(
  name: MetricName,
  label: string,
  counts: Readonly<Record<string, number>>,
): Sample[] {
  return Object.entries(counts).map(([key, value]) => ({ name, labels: { [label]: key }, value }));
}
