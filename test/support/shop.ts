/**
 * A shop's schema as SQL tools write it: one migration as drizzle-kit generates it, one compiled by
 * Kysely's schema builder; and the declarations with which both tools query it.
 */
import {
  bigint,
  customType,
  foreignKey,
  index,
  integer,
  jsonb,
  numeric,
  pgEnum,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
  type Generated,
} from 'kysely';
import { global, regional } from '../../src/topology/locality.ts';

export const orderStatus = pgEnum('order_status', ['open', 'paid', 'shipped']);
const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const country = pgTable('country', { code: text().primaryKey(), name: text().notNull() });

export const customer = pgTable('customer', {
  accountId: text('account_id').primaryKey(),
  email: text().notNull().unique(),
  country: text().references(() => country.code),
  visits: integer().notNull().default(0),
});

export const order = pgTable(
  'order',
  {
    accountId: text('account_id').notNull(),
    id: bigint({ mode: 'number' }).generatedAlwaysAsIdentity(),
    status: orderStatus().notNull().default('open'),
    total: numeric({ precision: 12, scale: 2 }).notNull(),
    tags: text().array().notNull().default(sqlEmptyArray()),
    note: jsonb().$type<{ gift?: boolean }>(),
    seal: bytea(),
    placedAt: timestamp('placed_at', { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.accountId, table.id] }),
    index('order_placed_at_index').on(table.placedAt.desc()),
    foreignKey({ columns: [table.accountId], foreignColumns: [customer.accountId] }),
  ],
);

function sqlEmptyArray(): string[] {
  return [];
}

/** As drizzle-kit 0.31 writes it for the declarations above, schema names and all. */
const DRIZZLE = `CREATE TYPE "public"."order_status" AS ENUM('open', 'paid', 'shipped');--> statement-breakpoint
CREATE TABLE "customer" (
	"account_id" text PRIMARY KEY NOT NULL,
	"email" text NOT NULL,
	"country" text,
	"visits" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "customer_email_unique" UNIQUE("email")
);
--> statement-breakpoint
CREATE TABLE "order" (
	"account_id" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "order_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"status" "order_status" DEFAULT 'open' NOT NULL,
	"total" numeric(12, 2) NOT NULL,
	"tags" text[] DEFAULT '{}' NOT NULL,
	"note" jsonb,
	"seal" "bytea",
	"placed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "order_account_id_id_pk" PRIMARY KEY("account_id","id")
);
--> statement-breakpoint
ALTER TABLE "customer" ADD CONSTRAINT "customer_country_country_code_fk" FOREIGN KEY ("country") REFERENCES "public"."country"("code") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "order" ADD CONSTRAINT "order_account_id_customer_account_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."customer"("account_id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "order_placed_at_index" ON "order" USING btree ("placed_at" DESC NULLS LAST);
`;

/** What Kysely sees; `item` comes from its own schema builder. */
export interface Shop {
  country: { code: string; name: string };
  customer: {
    account_id: string;
    email: string;
    country: string | null;
    visits: Generated<number>;
  };
  order: {
    account_id: string;
    id: Generated<string>;
    status: Generated<'open' | 'paid' | 'shipped'>;
    total: string;
  };
  item: { account_id: string; sku: string; quantity: number };
}

/** The statements of a Kysely migration, one per line, as its own migrator would send them. */
export function kyselyMigration(): string {
  const db = new Kysely<Shop>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (kysely) => new PostgresIntrospector(kysely),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  const statements = [
    db.schema
      .createTable('item')
      .addColumn('account_id', 'text', (column) => column.notNull())
      .addColumn('sku', 'text', (column) => column.notNull())
      .addColumn('quantity', 'integer', (column) => column.notNull())
      .addPrimaryKeyConstraint('item_pk', ['account_id', 'sku'])
      .addCheckConstraint('item_quantity_positive', sql`quantity > 0`),
    db.schema.createIndex('item_sku_index').on('item').columns(['sku', 'quantity']),
  ];
  return statements.map((statement) => `${statement.compile().sql};\n`).join('');
}

export const SHOP_SCHEMA = {
  'database/0000_country.sql':
    'CREATE TABLE "country" (\n\t"code" text PRIMARY KEY NOT NULL,\n\t"name" text NOT NULL\n);\n',
  'regional/0000_quick_silver_surfer.sql': DRIZZLE,
  'regional/0001_item.sql': kyselyMigration(),
};

export const SHOP_TABLES = {
  country: global(),
  customer: regional({ by: 'account_id' }),
  order: regional({ by: 'account_id' }),
  item: regional({ by: 'account_id' }),
};

/** One value of each type that drivers read in their own way. */
export const EVERY_TYPE = `SELECT 9007199254740993::bigint AS big, 1.10::numeric AS num, 'NaN'::float8 AS nan,
      '2026-01-02 03:04:05.678+00'::timestamptz AS tz, '2026-01-02 03:04:05'::timestamp AS ts,
      '2026-01-02'::date AS d, '1 day 02:00'::interval AS span, '{"a":[1]}'::json AS j,
      '[null]'::jsonb AS jb, ARRAY[1,2]::int[] AS ints, ARRAY['x y',NULL] AS words,
      '\\x00ff'::bytea AS bytes, NULL::int AS nothing, true AS yes, 1 AS twice, 2 AS twice`;
