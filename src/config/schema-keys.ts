/**
 * Reads the schema as a tree of keys: for suggesting the key that was meant, and for comparing the
 * reference page with what is really accepted. Names that a person chooses appear as `<region>`-like
 * placeholders in `configKeys` and match anything in `knownKeysAt`.
 */
import { z } from 'zod';
import { configSchema } from './schema.ts';

type Schema = z.core.$ZodType;

/** The alternatives below optional and union wrappers. */
function alternatives(schema: Schema): Schema[] {
  if (schema instanceof z.ZodOptional) return alternatives(schema.def.innerType);
  if (schema instanceof z.ZodUnion) return schema.def.options.flatMap(alternatives);
  return [schema];
}

function child(schema: Schema, key: PropertyKey): Schema[] {
  return alternatives(schema).flatMap((item) => {
    if (item instanceof z.ZodArray) return [item.element];
    if (item instanceof z.ZodRecord) return [item.valueType];
    if (!(item instanceof z.ZodObject)) return [];
    const shape = item.shape as Record<PropertyKey, Schema>;
    const next = Object.hasOwn(shape, key) ? shape[key] : undefined;
    return next === undefined ? [] : [next];
  });
}

/** The keys that an object at this path may have. */
export function knownKeysAt(path: readonly PropertyKey[]): string[] {
  const schemas = path.reduce<Schema[]>(
    (found, key) => found.flatMap((schema) => child(schema, key)),
    [configSchema],
  );
  const keys = schemas
    .flatMap(alternatives)
    .flatMap((item) => (item instanceof z.ZodObject ? Object.keys(item.shape) : []));
  return [...new Set(keys)];
}

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  regions: '<region>',
  tables: '<table>',
  'latency.betweenRegionsMs': '<pair>',
  'gateway.ports': '<region>',
  'gateway.authentication.issuers': '<issuer>',
  'app.env': '<name>',
};

/** Every key with its dotted path. Inside values that a maker function makes, only the engine's. */
export function configKeys(schema: Schema = configSchema, prefix = ''): string[] {
  const below = (key: string, next: Schema): string[] => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    return [path, ...configKeys(next, path)];
  };
  return alternatives(schema).flatMap((item) => {
    if (item instanceof z.ZodObject) {
      return Object.entries(item.shape as Record<string, Schema>).flatMap(([key, next]) =>
        below(key, next),
      );
    }
    // A table's or an account source's own keys belong to regional(), global() and accountFrom…().
    if (!(item instanceof z.ZodRecord) || prefix === 'tables') return [];
    const keys = below(PLACEHOLDERS[prefix] ?? '<name>', item.valueType);
    return keys.length > 1 ? keys.slice(1) : [];
  });
}
