-- A table of a few huge values; jsonb cannot be larger than 256 MB, so there is none.

CREATE TABLE attachments (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    body text,
    image bytea
);
