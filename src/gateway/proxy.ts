/**
 * Serves requests: decides (route.ts, retry.ts), forwards (attempt.ts), and answers or refuses every
 * one. The loop in `#serve` is the whole life of a request; its rounds are bounded by ATTEMPTS_MAX
 * and by the deadline.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ControlSubscription } from '../control/subscription.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { RegionName, ZoneName } from '../topology/region.ts';
import type { AccountId, RoutedAppServer } from '../topology/routing.ts';
import { noteAdmitted, noteRoute, type AccessLog } from './access-log.ts';
import { accessRequest, type Access, type Admitted } from './access.ts';
import { readHead, readTimeAllowed } from './admission.ts';
import { dropRest, refusalOf, refuse } from './answer.ts';
import { checkCapacity, reserveWebsocket } from './capacity.ts';
import { Attempt, type AttemptOutcome } from './attempt.ts';
import { inviteBody, readWhole, REPLAY_BYTES_MAX, RequestBody } from './body.ts';
import type { Phases } from './phases.ts';
import type { MutableCounters } from './counters.ts';
import { Exchange, unlessAborted, type Asked, type Head, type Upgrading } from './exchange.ts';
import {
  acceptedRequestId,
  OUTCOME_HEADER,
  requestHeaders,
  REQUEST_ID_HEADER,
  SERVED_BY_HEADER,
  withTimeLeft,
  type AnsweredHeaders,
} from './headers.ts';
import type { FarSide } from './far-side.ts';
import type { AccountLocator } from './locator.ts';
import type { GatewayOptions } from './options.ts';
import { afterFailure, asSent, ATTEMPTS_MAX, mayHide, outcomeOf } from './retry.ts';
import { chooseRoute, type RouteReason } from './route.ts';
import { responseToken, TOKEN_HEADER } from './token.ts';
import type { Tunnels } from './tunnels.ts';
import type { Upstreams } from './upstreams.ts';
import { checkHandshake, responseOn, type Upgrade } from './websocket.ts';

export interface ProxyOptions {
  readonly region: RegionName;
  readonly zone: ZoneName;
  readonly options: GatewayOptions;
  readonly control: ControlSubscription;
  readonly locator: AccountLocator;
  readonly upstreams: Upstreams;
  readonly farSide: FarSide;
  readonly tunnels: Tunnels;
  readonly access: Access;
  readonly accessLog: AccessLog | undefined;
  readonly counters: MutableCounters;
  readonly phases: Phases;
  readonly onAccess?: ((account: AccountId, why: RouteReason) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Between two attempts at the same server. */
const RETRY_BACKOFF = { baseMs: 25, maxMs: 200 };

const ignore = (): void => {};

interface Forwarding {
  readonly asked: Asked;
  /** The body read whole; undefined when there is none or it is streamed. */
  readonly whole: Buffer | undefined;
  readonly streamed: boolean;
  readonly headers: string[];
}

export class Proxy {
  readonly #parts: ProxyOptions;

  constructor(parts: ProxyOptions) {
    this.#parts = parts;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#begin(request, response, undefined);
  }

  /** A request that asks to switch protocols: answered or refused like any other, or made a tunnel. */
  handleUpgrade(request: IncomingMessage, upgrade: Upgrade): void {
    const { response, detach } = responseOn(request, upgrade.socket);
    this.#begin(request, response, { ...upgrade, detach });
  }

  #begin(request: IncomingMessage, response: ServerResponse, upgrade: Upgrading | undefined): void {
    const { counters, options, clock } = this.#parts;
    const id = acceptedRequestId(request.headers[REQUEST_ID_HEADER]) ?? randomUUID();
    counters.requests += 1;
    counters.inFlight += 1;
    const entry = this.#parts.accessLog?.begin(request, id);
    let exchange: Exchange | undefined;
    response.once('close', () => {
      counters.inFlight -= 1;
      if (entry !== undefined) this.#parts.accessLog?.finish(entry, response);
      exchange?.over();
    });
    // Nothing listens to a request that was refused: its errors are the connection's end.
    request.on('error', ignore);
    try {
      checkCapacity(this.#parts);
      if (upgrade !== undefined) {
        checkHandshake(request);
        response.once('close', reserveWebsocket(this.#parts));
      }
      const allowedMs = readTimeAllowed(request, options.requestTimeoutMs);
      const head = readHead(request, options);
      const admitted = this.#parts.access.admit(accessRequest(request, head));
      const begun = new Exchange({ request, response, clock, id, allowedMs, upgrade, entry });
      exchange = begun;
      const served =
        admitted instanceof Promise
          ? this.#serveAdmitted(begun, head, admitted)
          : this.#serve(begun, { ...head, ...admitted });
      served.catch((error: unknown) => {
        this.#fail(begun, error);
      });
    } catch (error) {
      this.#refuse({ request, response, id, entry }, error);
    }
  }

  /** The one case that has to wait: a bearer token that is new to this gateway. */
  async #serveAdmitted(exchange: Exchange, head: Head, admitted: Promise<Admitted>): Promise<void> {
    const access = await unlessAborted(admitted, exchange.signal);
    await this.#serve(exchange, { ...head, ...access });
  }

  async #serve(exchange: Exchange, asked: Asked): Promise<void> {
    const { control, upstreams, region, zone, counters } = this.#parts;
    noteAdmitted(exchange.entry, asked);
    const forwarding = await this.#prepare(exchange, asked);
    let pausedBefore = -1;
    for (;;) {
      exchange.throwIfStopped();
      const { account, hopped } = asked;
      const { home, tried, routedAs: method } = exchange;
      const facts = { region, zone, account, hopped, home, tried, method };
      const route = chooseRoute(facts, control.view, upstreams);
      if (route.kind === 'refuse') {
        throw new MeridianError(route.code, route.reason, {
          outcome: outcomeOf(exchange),
          ...(route.retryAfterMs === undefined ? {} : { retryAfterMs: route.retryAfterMs }),
        });
      }
      if (route.kind === 'locate') {
        exchange.home = await this.#locate(exchange, route.account, false);
        continue;
      }
      if (exchange.tried.has(route.server.name) && pausedBefore !== exchange.attempts) {
        pausedBefore = exchange.attempts;
        const waitMs = backoffMs(exchange.attempts, this.#parts.random, RETRY_BACKOFF);
        await this.#parts.clock.sleep(waitMs, exchange.signal);
        // Chosen anew: the view may have changed, and nothing is sent to a server that it took out.
        continue;
      }
      exchange.attempts += 1;
      counters.forwarded[route.why] += 1;
      noteRoute(exchange.entry, route);
      const { outcome, replayable } = await this.#attempt(exchange, forwarding, route.server);
      if (outcome.kind === 'answered') {
        if (asked.account !== undefined) this.#parts.onAccess?.(asked.account, route.why);
        dropRest({ request: exchange.request, clock: this.#parts.clock });
        return;
      }
      if (outcome.kind === 'upgraded') return;
      if (outcome.kind === 'truncated') {
        this.#truncated(exchange, route.server, outcome.error);
        return;
      }
      if (outcome.kind === 'stale-route') {
        counters.reroutes += 1;
        exchange.rerouted = true;
        exchange.setTried(route.server.name);
        exchange.home = await this.#locate(exchange, asked.account ?? '', true);
        continue;
      }
      this.#afterFailure(exchange, { ...outcome, replayable, keyed: asked.keyed, ...route });
    }
  }

  /** Everything that is the same for each attempt. */
  async #prepare(exchange: Exchange, asked: Asked): Promise<Forwarding> {
    const { request } = exchange;
    const length = asked.contentLength;
    const streamed = length === undefined || length > REPLAY_BYTES_MAX;
    if (length !== 0) inviteBody(request, exchange.response);
    const { stallTimeoutMs } = this.#parts.options;
    const whole =
      streamed || length === 0
        ? undefined
        : await readWhole(request, stallTimeoutMs, exchange.signal);
    if (whole !== undefined && exchange.entry !== undefined) exchange.entry.bytesIn = whole.length;
    const headers = requestHeaders({
      rawHeaders: request.rawHeaders,
      connection: request.headers.connection,
      host: asked.host,
      client: asked.client,
      account: asked.account,
      identity: asked.identity,
      requestId: exchange.id,
      region: this.#parts.region,
      token: asked.token.seen,
      contentLength: streamed ? length : undefined,
    });
    return { asked, whole, streamed, headers };
  }

  async #attempt(
    exchange: Exchange,
    forwarding: Forwarding,
    server: RoutedAppServer,
  ): Promise<{ readonly outcome: AttemptOutcome; readonly replayable: boolean }> {
    const { options, upstreams, farSide } = this.#parts;
    const { asked, whole, headers } = forwarding;
    const { upgrade } = exchange;
    const body = forwarding.streamed
      ? new RequestBody(exchange.request, options, exchange.entry)
      : undefined;
    const attempt = new Attempt({
      response: exchange.response,
      body,
      tally: exchange.entry,
      stallTimeoutMs: options.stallTimeoutMs,
      reroutable:
        asked.account !== undefined && !exchange.rerouted && exchange.attempts < ATTEMPTS_MAX,
      head: (status, answered) => {
        unwatch();
        this.#writeHead(exchange, status, { answered, asked, server: server.name });
      },
      upgraded:
        upgrade &&
        ((answered, upstream) => {
          unwatch();
          answered.passed.push('connection', 'Upgrade', 'upgrade', 'websocket');
          this.#writeHead(exchange, 101, { answered, asked, server: server.name });
          this.#openTunnel(exchange, upgrade, upstream);
        }),
    });
    const { pool, release } = upstreams.take(server);
    const unwatch = farSide.watch(server, (reason) => {
      attempt.cancel(reason);
    });
    exchange.attempting((reason) => {
      attempt.cancel(reason);
    });
    try {
      pool.dispatch(
        {
          path: asked.path,
          method: exchange.method,
          headers: withTimeLeft(headers, exchange.leftMs),
          body: body ?? whole ?? null,
          upgrade: upgrade === undefined ? null : 'websocket',
        },
        attempt,
      );
      const outcome = await attempt.outcome;
      return { outcome, replayable: body?.consumed !== true };
    } finally {
      unwatch();
      exchange.attempting(undefined);
      release();
    }
  }

  #writeHead(
    exchange: Exchange,
    status: number,
    answer: {
      readonly answered: AnsweredHeaders;
      readonly asked: Asked;
      readonly server: string;
    },
  ): void {
    const { passed, token } = answer.answered;
    passed.push(REQUEST_ID_HEADER, exchange.id, SERVED_BY_HEADER, answer.server);
    const merged = responseToken(answer.asked.token, token);
    if (merged !== undefined) {
      passed.push(TOKEN_HEADER, merged.header);
      if (merged.setCookie !== undefined) passed.push('set-cookie', merged.setCookie);
    } else if (token !== undefined && token !== '') {
      this.#parts.log.warn('dropped an invalid token of an app server', { server: answer.server });
    }
    const { request, response } = exchange;
    // What it refuses now was perhaps done by the one that was asked before it, and failed.
    if (mayHide(status, exchange)) passed.push(OUTCOME_HEADER, 'unknown');
    if (status !== 101) passed.push(...this.#parts.phases.headers(request, response));
    exchange.response.writeHead(status, passed);
    exchange.answering();
  }

  #openTunnel(exchange: Exchange, upgrade: Upgrading, upstream: Socket): void {
    const { counters, tunnels } = this.#parts;
    upgrade.detach();
    exchange.response.end();
    counters.websockets += 1;
    tunnels.open(upgrade.socket, upstream, upgrade.head);
  }

  /** Returns to try again; throws what to answer. */
  #afterFailure(
    exchange: Exchange,
    failure: {
      readonly sent: boolean;
      readonly error: Error;
      readonly replayable: boolean;
      readonly keyed: boolean;
      readonly server: RoutedAppServer;
      readonly why: RouteReason;
    },
  ): void {
    exchange.sent ||= failure.sent;
    // Not the app server's failure: the client left, the deadline passed, the body was too large.
    exchange.throwIfStopped();
    if (isMeridianError(failure.error)) throw failure.error;
    const { server, sent, error } = failure;
    if ((error as { code?: unknown }).code === 'UND_ERR_INVALID_ARG') {
      throw new MeridianError('ERR_GATEWAY_REQUEST_INVALID', messageOf(error), { cause: error });
    }
    this.#parts.upstreams.failed(server);
    const facts = { requestId: exchange.id, server: server.name, sent, reason: messageOf(error) };
    const verdict = afterFailure({
      ...failure,
      method: exchange.method,
      attempts: exchange.attempts,
    });
    if (verdict.kind === 'retry') {
      this.#parts.log.debug('an app server failed a request; trying again', facts);
      this.#parts.counters.retries += 1;
      exchange.addTried(server.name);
      return;
    }
    this.#parts.log.warn('an app server failed a request', facts);
    const what = sent ? 'failed while it served the request' : 'could not be reached';
    throw new MeridianError('ERR_GATEWAY_UPSTREAM', `app server ${server.name} ${what}`, {
      outcome: outcomeOf(exchange),
      cause: error,
    });
  }

  async #locate(exchange: Exchange, account: string, fresh: boolean): Promise<Exchange['home']> {
    const { signal, leftMs: timeoutMs } = exchange;
    const found = this.#parts.locator.locate(account, { fresh, signal, timeoutMs });
    return unlessAborted(found, signal);
  }

  #truncated(exchange: Exchange, server: RoutedAppServer, error: Error): void {
    if (exchange.gone) {
      this.#parts.counters.clientAborts += 1;
      return;
    }
    this.#parts.counters.truncated += 1;
    this.#parts.log.warn('an app server broke off its answer', {
      requestId: exchange.id,
      server: server.name,
      reason: messageOf(error),
    });
  }

  #fail(exchange: Exchange, error: unknown): void {
    if (exchange.gone) {
      this.#parts.counters.clientAborts += 1;
      return;
    }
    this.#refuse(
      exchange,
      exchange.expired ? exchange.deadlineExceeded() : asSent(exchange, error),
    );
  }

  #refuse(to: Pick<Exchange, 'request' | 'response' | 'id' | 'entry'>, error: unknown): void {
    const { request, response, id } = to;
    const { counters, clock, log, phases } = this.#parts;
    const refusal = refusalOf(error, log, id);
    if (to.entry !== undefined) to.entry.code = refusal.code;
    counters.refused[refusal.code] = (counters.refused[refusal.code] ?? 0) + 1;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    refuse({ request, response, clock, last: phases.isLast(request) }, refusal, id);
  }
}
