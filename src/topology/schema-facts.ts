/** What a schema shows of itself to those who judge it. Pure data. */
import type { TableLocality } from './locality.ts';

export interface SchemaFacts {
  readonly tables: readonly TableFacts[];
  readonly statements: readonly StatementFacts[];
}

export interface TableFacts {
  readonly name: string;
  readonly locality: TableLocality;
  /** Primary key, unique constraints and indexes. */
  readonly unique: readonly { readonly name: string; readonly columns: readonly string[] }[];
  readonly references: readonly ReferenceFacts[];
}

export interface ReferenceFacts {
  readonly name: string;
  readonly columns: readonly string[];
  readonly to: string;
  /** In the order of `columns`. */
  readonly toColumns: readonly string[];
  /** What becomes of these rows when the other one goes. */
  readonly onDelete: 'nothing' | 'cascade' | 'set';
}

/** What the planner of the database makes of a statement that the application has declared. */
export interface StatementFacts {
  readonly name: string;
  /** Why it could not be looked at; '' otherwise. */
  readonly failure: string;
  readonly writes: readonly string[];
  /** Regional tables that it goes through without saying whose rows it means. */
  readonly scattered: readonly string[];
  readonly reads: readonly string[];
}
