/** The plain values that schemas are made of, each with what was expected as its error. */
import { z } from 'zod';

export const integer = (min: number, max: number): z.ZodNumber => {
  const error = `a whole number from ${String(min)} to ${String(max)}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};

export const number = (min: number, max: number): z.ZodNumber => {
  const error = `a number from ${String(min)} to ${String(max)}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
};

export const text = (error: string): z.ZodString => z.string({ error }).min(1, { error });

export const oneOf = <const T extends readonly [string, ...string[]]>(
  values: T,
): z.ZodEnum<{ [Value in T[number]]: Value }> =>
  z.enum(values, { error: `one of ${values.map((value) => `'${value}'`).join(', ')}` });

export const flag = z.boolean({ error: 'true or false' });
export const timeout = integer(1, 3_600_000);
export const path = text('a path');
