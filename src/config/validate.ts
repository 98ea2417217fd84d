/**
 * Refuses a wrong declaration with everything that is wrong in it: one problem a line, each with its
 * key, what was expected, what was found and, where it helps, what to do. Values that may be secrets
 * are never repeated.
 */
import { inspect } from 'node:util';
import type { z } from 'zod';
import { MeridianError } from '../kernel/errors.ts';
import { formatProblems, nearestName, type Problem } from '../kernel/problem.ts';
import { crossCheck } from './cross-checks.ts';
import type { MeridianConfig } from './define.ts';
import { configSchema } from './schema.ts';
import { knownKeysAt } from './schema-keys.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** `regions.us-east.zones[1]`, `latency.betweenRegionsMs["us-east|eu-west"]`. */
export function formatPath(path: Path): string {
  const parts = path.map((part, index) => {
    if (typeof part === 'number') return `[${String(part)}]`;
    const name = String(part);
    if (!/^[A-Za-z_$][\w$-]*$/.test(name)) return `[${JSON.stringify(name)}]`;
    return index === 0 ? name : `.${name}`;
  });
  return parts.join('') || '(the whole)';
}

/** What is there, short, and without its text where that may be a secret. */
export function describeFound(value: unknown, path: Path): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    return value.length === 0 ? 'an empty array' : `an array of ${String(value.length)}`;
  }
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object') return 'an object';
  const secret = path.some((part) => /^env$|passw|secret|token|credential/i.test(String(part)));
  if (secret) return `a ${typeof value}`;
  const shown = typeof value === 'string' ? JSON.stringify(value) : inspect(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    return (value as Record<PropertyKey, unknown>)[key];
  }, root);
}

/** A key that is not known, with the one that was probably meant. */
function unknownKey(parent: Path, key: string, root: unknown): Problem {
  const known = knownKeysAt(parent);
  const near = nearestName(key, known);
  const path = [...parent, key];
  return {
    path: formatPath(path),
    expected: `one of the keys ${known.join(', ')}`,
    found: `an unknown key with ${describeFound(valueAt(root, path), path)}`,
    remedy: near === undefined ? 'Remove it.' : `Did you mean '${near}'?`,
  };
}

/** In a union, the problems of the alternative that was meant: the one that fits at its root. */
function alternativeIssues(issue: Issue): Issue[] | undefined {
  if (issue.code !== 'invalid_union') return undefined;
  const meant = issue.errors.find((issues) =>
    issues.every((item) => item.path.length > 0 || item.code === 'unrecognized_keys'),
  );
  return meant?.map((item) => ({ ...item, path: [...issue.path, ...item.path] }));
}

function toProblems(issue: Issue, root: unknown): Problem[] {
  const inner = alternativeIssues(issue);
  if (inner !== undefined) return inner.flatMap((item) => toProblems(item, root));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(issue.path, key, root));
  }
  const found = describeFound(valueAt(root, issue.path), issue.path);
  return [{ path: formatPath(issue.path), expected: issue.message, found }];
}

/** One problem a key is enough: zod tells of each rule that a value breaks. */
function firstPerPath(problems: readonly Problem[]): Problem[] {
  const seen = new Map<string, Problem>();
  for (const problem of problems) {
    if (!seen.has(problem.path)) seen.set(problem.path, problem);
  }
  return [...seen.values()];
}

/** Everything wrong with a declaration; nothing when it is fine. */
export function configProblems(input: unknown): Problem[] {
  const result = configSchema.safeParse(input);
  if (!result.success) {
    return firstPerPath(result.error.issues.flatMap((issue) => toProblems(issue, input)));
  }
  return crossCheck(result.data);
}

/** Throws ERR_CONFIG_INVALID naming `file` and every problem. */
export function validateConfig(input: unknown, file: string): MeridianConfig {
  const problems = configProblems(input);
  if (problems.length > 0) {
    throw new MeridianError('ERR_CONFIG_INVALID', formatProblems(file, problems), {
      details: { file, problems },
      ...(problems.length > 1 ? { remedy: 'Correct the named keys.' } : {}),
    });
  }
  return input as MeridianConfig;
}
