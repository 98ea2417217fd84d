/**
 * Many small rows, quickly: each that was acknowledged must be there at the end. A row whose insert was
 * not answered is sent again. If it is there by then, nothing is written, and the acknowledgement
 * promises what an earlier attempt left: it must not rest on one disk alone.
 */
import { present } from '../../kernel/assert.ts';
import type { Answer, Door } from '../doors.ts';
import { nearby, type Ground, type LoadClient, type Workload } from './workload.ts';

const SENDINGS_MAX = 4;
const SENDING_MS_MAX = 12_000;
const PAUSE_MS = 60;

export const inserts: Workload = {
  name: 'inserts',
  actions: ['insert'],
  accountsPerRegion: 2,
  movable: true,
  openedWith: 0,
  open: async () => {},
  clients: (ground) =>
    ground.regions.flatMap(({ region, gateway, libraries }) =>
      [gateway, gateway, ...libraries.slice(0, 1)].map((door, index) =>
        client(ground, door, `inserts.${region}.${door.via}.${String(index)}`),
      ),
    ),
};

function client(ground: Ground, door: Door, name: string): LoadClient {
  const random = ground.random(name);
  return {
    name,
    thinkMs: 60,
    step: async () => {
      const { id: account } = nearby(ground, { region: door.region, random, share: 0.9 });
      const action = { kind: 'insert', account, id: String(ground.nextValue()) } as const;
      await ground.recorder.run({ client: name, door }, action, async () => {
        const endMs = ground.recorder.nowMs() + SENDING_MS_MAX;
        let answer: Answer | undefined;
        let doubt: Answer | undefined;
        for (let sending = 1; sending <= SENDINGS_MAX; sending += 1) {
          answer = await door.send(action);
          if (answer.outcome === 'ok') return { answer };
          if (answer.outcome === 'unknown') doubt = answer;
          if (ground.recorder.nowMs() > endMs) break;
          await ground.clock.sleep(PAUSE_MS * sending);
        }
        return { answer: doubt ?? present(answer, 'an answer') };
      });
    },
  };
}
