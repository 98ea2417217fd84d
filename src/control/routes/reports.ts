/** What processes tell the supervisor, and what it tells of all of them. */
import { MeridianError } from '../../kernel/errors.ts';
import { parseActivity, readBody, sendJson } from '../control-request.ts';
import { parseMetricsReport, type MetricsReport } from '../metrics/sample.ts';
import type { ActivityReport } from '../protocol.ts';
import {
  parsePlacementQuestion,
  type PlacementFacts,
  type PlacementQuestion,
} from '../placement.ts';
import type { StatusReport } from '../status.ts';
import { parseTraffic, TRAFFIC_BODY_MAX_BYTES, type TrafficReport } from '../traffic/report.ts';
import type { Routes } from './route.ts';

const STATEMENTS_BODY_MAX_BYTES = 1024 * 1024;

export interface ReportOptions {
  readonly status: () => Promise<StatusReport> | StatusReport;
  readonly activity: (report: ActivityReport) => void;
  readonly traffic?: ((report: TrafficReport) => void) | undefined;
  /** Why an account lives where it does; rejects for one that does not exist. */
  readonly explain?: ((account: string) => Promise<unknown>) | undefined;
  /** What a change of the declaration would be planned from. */
  readonly placement?: ((question: PlacementQuestion) => Promise<PlacementFacts>) | undefined;
  /** Without it, reports of metrics are taken and dropped. */
  readonly metrics?: { readonly report: (report: MetricsReport) => void } | undefined;
}

export function reportRoutes(options: ReportOptions): Routes {
  return {
    'GET /v1/status': async ({ response }) => {
      sendJson(response, 200, await options.status());
    },
    'POST /v1/activity': async ({ request, response }) => {
      options.activity(parseActivity(await readBody(request)));
      response.writeHead(204).end();
    },
    'GET /v1/account': async ({ query, response }) => {
      const id = query.get('id') ?? '';
      if (options.explain === undefined) {
        throw new MeridianError('ERR_CONTROL_REQUEST', 'traffic of accounts is not looked at here');
      }
      sendJson(response, 200, await options.explain(id));
    },
    'POST /v1/placement': async ({ request, response }) => {
      if (options.placement === undefined) {
        throw new MeridianError('ERR_CONTROL_REQUEST', 'nothing is placed here');
      }
      const question = parsePlacementQuestion(await readBody(request, STATEMENTS_BODY_MAX_BYTES));
      sendJson(response, 200, await options.placement(question));
    },
    'POST /v1/traffic': async ({ request, response }) => {
      options.traffic?.(parseTraffic(await readBody(request, TRAFFIC_BODY_MAX_BYTES)));
      response.writeHead(204).end();
    },
    'POST /v1/metrics': async ({ request, response }) => {
      options.metrics?.report(parseMetricsReport(await readBody(request)));
      response.writeHead(204).end();
    },
  };
}
