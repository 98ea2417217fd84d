/** What processes tell the supervisor, and what it tells of all of them. */
import { parseActivity, readBody, sendJson } from '../control-request.ts';
import { parseMetricsReport, type MetricsReport } from '../metrics/sample.ts';
import type { ActivityReport } from '../protocol.ts';
import type { StatusReport } from '../status.ts';
import type { Routes } from './route.ts';

export interface ReportOptions {
  readonly status: () => Promise<StatusReport> | StatusReport;
  readonly activity: (report: ActivityReport) => void;
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
    'POST /v1/metrics': async ({ request, response }) => {
      options.metrics?.report(parseMetricsReport(await readBody(request)));
      response.writeHead(204).end();
    },
  };
}
