/**
 * Which paths need no bearer token. Pure.
 *
 * What is not clearly public is not public: a path that an app server may read as another one (dot
 * segments, encoded slashes, path parameters, empty segments) needs a token whatever it begins with.
 */
import { decode, isAmbiguous } from './account.ts';

/** Prefixes are compared segment by segment: '/login' covers '/login' and '/login/x', not '/logins'. */
export function publicPaths(prefixes: readonly string[]): (path: string) => boolean {
  const wanted = prefixes.map((prefix) => prefix.split('/').slice(1).filter(Boolean));
  if (wanted.length === 0) return () => false;
  return (path) => {
    const end = path.search(/[?#]/);
    const segments = (end < 0 ? path : path.slice(0, end)).split('/').slice(1);
    if (segments.at(-1) === '') segments.pop();
    const decoded: string[] = [];
    for (const segment of segments) {
      const text = isAmbiguous(segment) ? undefined : decode(segment);
      if (text === undefined || text === '' || /[/\\;\0]/.test(text)) return false;
      decoded.push(text);
    }
    return wanted.some((prefix) => prefix.every((literal, at) => decoded[at] === literal));
  };
}
