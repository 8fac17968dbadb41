-- A table of many small rows, with a key and an index.

CREATE TABLE readings (
    id bigint PRIMARY KEY,
    sensor uuid NOT NULL,
    value double precision,
    amount numeric(12, 2) NOT NULL,
    taken_at timestamptz NOT NULL
);

CREATE INDEX ix_readings_taken_at ON readings (taken_at);
