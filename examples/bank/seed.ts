/** Program: loads currencies and countries into the global tables. The load driver does so by itself. */
import { closeRegions, connectRegions, platformFromEnvironment } from './load/regions.ts';
import { seedReferenceData } from './seeding.ts';

const clients = await connectRegions(platformFromEnvironment(process.env), 'seed');
try {
  const changed = await seedReferenceData(clients);
  console.log(
    `reference data is in ${[...clients.keys()].join(', ')}: ${String(changed)} rows new`,
  );
} finally {
  await closeRegions(clients);
}
