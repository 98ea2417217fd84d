/**
 * The picture that the supervisor pushes: engine routes and app servers under one rising version. Each
 * change makes the next version; subscribers get their own view of it (view.ts).
 */
import type { EngineRoutes } from '../engines/engine.ts';
import type { GroupSpec } from '../topology/node.ts';
import type { LatencyMatrix, Locality, Region } from '../topology/region.ts';
import type { Address, RoutingView } from '../topology/routing.ts';
import { viewFor, type AppServerPlace } from './view.ts';

export interface WorldOptions {
  readonly regions: readonly Region[];
  readonly groups: readonly GroupSpec[];
  readonly primaryGroup: string;
  readonly latency: LatencyMatrix;
  readonly link: (route: { from: Locality; to: Locality; target: Address }) => Promise<Address>;
}

export class World {
  readonly #options: WorldOptions;
  #version = 1;
  #routes: () => EngineRoutes = () => ({ groups: {}, ranges: {}, nodes: [] });
  #appServers: readonly AppServerPlace[] = [];
  #publish: () => void = () => {};

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  /** Where routes come from and who is told of changes; both exist only once they have started. */
  attach(parts: { readonly routes?: () => EngineRoutes; readonly publish?: () => void }): void {
    if (parts.routes !== undefined) this.#routes = parts.routes;
    if (parts.publish !== undefined) this.#publish = parts.publish;
    this.changed();
  }

  /** Of the picture as it is now. */
  get version(): number {
    return this.#version;
  }

  changed(): void {
    this.#version += 1;
    this.#publish();
  }

  appServersAre(servers: readonly AppServerPlace[]): void {
    this.#appServers = servers;
    this.changed();
  }

  /** A subscriber that names no zone is taken to be in its region's first. */
  viewFrom(place: { readonly region: string; readonly zone: string }): Promise<RoutingView> {
    const region = this.#options.regions.find((one) => one.name === place.region);
    const zone = place.zone === '' ? (region?.zones[0] ?? '') : place.zone;
    return viewFor(
      {
        ...this.#options,
        version: this.#version,
        routes: this.#routes(),
        appServers: this.#appServers,
      },
      { region: place.region, zone },
    );
  }
}
