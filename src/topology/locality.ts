/** The declared access pattern of a table. Pure data, made by `regional` and `global` in a config. */
export type TableLocality =
  /** Rows live in their account's range; `by` is the account column, part of the primary key. */
  | { readonly kind: 'regional'; readonly by: string }
  /** One copy everywhere, written at the primary region, read locally. */
  | { readonly kind: 'global' };

export function regional(options: { readonly by: string }): TableLocality {
  return { kind: 'regional', by: options.by };
}

export function global(): TableLocality {
  return { kind: 'global' };
}
