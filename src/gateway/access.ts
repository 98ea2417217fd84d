/**
 * Who may send this request on, and for which account? Everything between a readable head and the
 * choice of an app server.
 *
 * The order is the point: the client's limit before a signature is verified, so that a flood of wrong
 * tokens costs little; the token before the account's limit, so that only those who may use an account
 * use up its limit. A token that is remembered is answered synchronously, without a promise.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { AccountId } from '../topology/routing.ts';
import { accountFinder, type AccountFinder } from './account.ts';
import { bearerOf, type Bearer } from './bearer.ts';
import { clientReader, type ClientFacts, type Peer } from './client-facts.ts';
import { clientNetwork } from './network.ts';
import type { GatewayOptions } from './options.ts';
import { publicPaths } from './public-paths.ts';
import { TokenBuckets } from './rate-limit.ts';
import type { Identity, Verifier } from './verifier.ts';

/** What is asked, as far as access depends on it. */
export interface AccessRequest {
  readonly method: string;
  /** Origin form. */
  readonly path: string;
  /** As asked of this gateway. */
  readonly host: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly peer: Pick<Peer, 'address' | 'encrypted'>;
}

/** `head` is what was read of the request already. */
export function accessRequest(
  request: IncomingMessage,
  head: Pick<AccessRequest, 'path' | 'host'>,
): AccessRequest {
  const { method = 'GET', headers, rawHeaders, socket } = request;
  const peer = { address: socket.remoteAddress, encrypted: 'encrypted' in socket };
  return { method, path: head.path, host: head.host, headers, rawHeaders, peer };
}

export interface Admitted {
  readonly account: AccountId | undefined;
  readonly client: ClientFacts;
  /** Undefined without a bearer token, and where none is looked at. */
  readonly identity: Identity | undefined;
}

export interface AccessOptions {
  readonly options: GatewayOptions;
  /** Given when `options.authentication` is. */
  readonly verifier: Verifier | undefined;
  readonly clock: Clock;
}

export class Access {
  readonly #verifier: Verifier | undefined;
  readonly #authentication: GatewayOptions['authentication'];
  readonly #isPublic: (path: string) => boolean;
  readonly #readClient: (peer: Peer) => ClientFacts;
  readonly #findAccount: AccountFinder;
  readonly #clients: TokenBuckets | undefined;
  readonly #accounts: TokenBuckets | undefined;
  readonly #clock: Clock;

  constructor({ options, verifier, clock }: AccessOptions) {
    const limits = options.rateLimits;
    const buckets = (limit: 'perAccount' | 'perClient'): TokenBuckets | undefined =>
      limits?.[limit] && new TokenBuckets(limits[limit], limits.keysMax);
    this.#verifier = verifier;
    this.#authentication = options.authentication;
    this.#isPublic = publicPaths(options.authentication?.publicPaths ?? []);
    this.#readClient = clientReader(options);
    this.#findAccount = accountFinder(options.account);
    this.#clients = buckets('perClient');
    this.#accounts = buckets('perAccount');
    this.#clock = clock;
  }

  /** Throws or rejects with the MeridianError to answer with. A promise only when a token is new. */
  admit(request: AccessRequest): Admitted | Promise<Admitted> {
    const { headers, host, peer } = request;
    const client = this.#readClient({ ...peer, headers, host });
    const verifier = this.#verifier;
    if (verifier === undefined) {
      this.#limitAddress(client);
      return this.#finish(request, { client, identity: undefined });
    }
    const bearer = bearerOf(request.rawHeaders, this.#authentication?.cookie);
    if (bearer === undefined) {
      this.#limitAddress(client);
      return this.#anonymous(request, client);
    }
    const key = verifier.keyOf(bearer.text);
    const identity = verifier.recall(key);
    if (identity === undefined) {
      this.#limitAddress(client);
      return this.#verify(verifier, { request, client, bearer, key });
    }
    this.#limit(this.#clients, `=${identity.client}`, 'client');
    return this.#finish(request, { client, identity });
  }

  async #verify(
    verifier: Verifier,
    asking: {
      readonly request: AccessRequest;
      readonly client: ClientFacts;
      readonly bearer: Bearer;
      readonly key: string;
    },
  ): Promise<Admitted> {
    const { request, client, bearer, key } = asking;
    let identity: Identity;
    try {
      identity = await verifier.verify(bearer.text, key);
    } catch (error) {
      // A browser sends its old cookie to the sign-in page too.
      const leftover =
        bearer.from === 'cookie' && isMeridianError(error, 'ERR_GATEWAY_BEARER_INVALID');
      if (leftover && this.#open(request)) return this.#anonymous(request, client);
      throw error;
    }
    this.#limit(this.#clients, `=${identity.client}`, 'client');
    return this.#finish(request, { client, identity });
  }

  #anonymous(request: AccessRequest, client: ClientFacts): Admitted {
    if (this.#authentication?.required === true && !this.#open(request)) {
      throw unauthenticated('the request has no bearer token');
    }
    return this.#finish(request, { client, identity: undefined });
  }

  #finish(
    request: AccessRequest,
    who: { readonly client: ClientFacts; readonly identity: Identity | undefined },
  ): Admitted {
    const { client, identity } = who;
    const { path, rawHeaders } = request;
    const finding = this.#findAccount({
      ...{ path, rawHeaders, host: client.host },
      claims: identity?.claims,
      open: this.#verifier !== undefined && this.#open(request),
    });
    switch (finding.kind) {
      case 'none':
        return { account: undefined, client, identity };
      case 'invalid':
        throw new MeridianError(
          'ERR_ACCOUNT_INVALID',
          'the request does not name its account clearly',
        );
      case 'unbound':
        if (identity === undefined) {
          throw unauthenticated('the request names an account and has no bearer token');
        }
        throw new MeridianError(
          'ERR_GATEWAY_FORBIDDEN',
          'the bearer token is not for the account that the request names',
        );
      case 'account': {
        // What nobody signed must not use up what the account's own clients may have.
        const stranger = this.#verifier !== undefined && identity === undefined;
        this.#limit(this.#accounts, stranger ? `?${finding.id}` : `=${finding.id}`, 'account');
        return { account: finding.id, client, identity };
      }
    }
  }

  /** Served without a token, by declaration. */
  #open(request: AccessRequest): boolean {
    if (this.#isPublic(request.path)) return true;
    return (
      this.#authentication?.passPreflights === true &&
      request.method === 'OPTIONS' &&
      request.headers['access-control-request-method'] !== undefined
    );
  }

  #limitAddress(client: ClientFacts): void {
    if (this.#clients === undefined) return;
    this.#limit(this.#clients, clientNetwork(client.address), 'client');
  }

  #limit(buckets: TokenBuckets | undefined, key: string, what: 'client' | 'account'): void {
    if (buckets === undefined) return;
    const waitMs = buckets.take(key, this.#clock.monotonicMs());
    if (waitMs === 0) return;
    throw new MeridianError(
      'ERR_GATEWAY_RATE_LIMITED',
      `this ${what} has sent more requests than the gateway takes at once`,
      { retryAfterMs: waitMs, details: { policy: what, ...buckets.limit } },
    );
  }
}

function unauthenticated(message: string): MeridianError {
  return new MeridianError('ERR_GATEWAY_UNAUTHENTICATED', message);
}
