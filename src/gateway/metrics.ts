/** A gateway's counters as samples: every one of them, or this does not compile. Pure. */
import type { Sample } from '../control/metrics/sample.ts';
import type { LABEL_VALUES, MetricName } from '../control/metrics/table.ts';
import type { GatewayCounters } from './counters.ts';

type Labelled = 'forwarded' | 'refused';
type Reason = (typeof LABEL_VALUES)['reason'][number];

const PLAIN: Readonly<Record<Exclude<keyof GatewayCounters, Labelled>, MetricName>> = {
  requests: 'meridian_gateway_requests_total',
  inFlight: 'meridian_gateway_requests_in_flight',
  retries: 'meridian_gateway_retries_total',
  reroutes: 'meridian_gateway_reroutes_total',
  truncated: 'meridian_gateway_truncated_total',
  clientAborts: 'meridian_gateway_client_aborts_total',
  connections: 'meridian_gateway_connections',
  connectionsRefused: 'meridian_gateway_connections_refused_total',
  websockets: 'meridian_gateway_websockets_total',
  websocketsOpen: 'meridian_gateway_websockets_open',
};

export function gatewaySamples(counters: GatewayCounters): Sample[] {
  const forwarded: Readonly<Partial<Record<Reason, number>>> = counters.forwarded;
  const plain = Object.entries(PLAIN) as [keyof typeof PLAIN, MetricName][];
  return [
    ...plain.map(([key, name]): Sample => ({ name, labels: {}, value: counters[key] })),
    ...labelled('meridian_gateway_forwarded_total', 'reason', forwarded),
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
