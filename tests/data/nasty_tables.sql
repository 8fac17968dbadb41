-- Tables with everything that has ever gone wrong in a copy. {json} is json or jsonb.
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 10);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE "Ta""b.le
x" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "select" text, "New
Line" varchar(20), c char(4), n numeric, d double precision, r real, b bytea, u uuid,
  ts timestamptz, t timestamp, dt date, iv interval, j {json}, jb jsonb, a int[], ta text[], m mood, ma mood[],
  s short, p pair, rng int4range, ip inet, bits varbit, mo money,
  doubled numeric GENERATED ALWAYS AS (n * 2) STORED
);
CREATE TABLE empty (id int PRIMARY KEY WITH (fillfactor = 70));
CREATE TABLE nothing ();
CREATE TABLE no_key (v text);
CREATE TABLE parent (id serial PRIMARY KEY, "self" int REFERENCES parent, UNIQUE ("self", id));
CREATE TABLE a_child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent DEFERRABLE INITIALLY DEFERRED, during int4range, EXCLUDE USING gist (during WITH &&));
CREATE UNIQUE INDEX odd ON a_child ((id * 2) DESC NULLS LAST) WHERE id > 0;
COMMENT ON INDEX odd IS 'it''s odd';
CREATE TABLE parted (id int, part int) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
