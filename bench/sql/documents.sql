-- Beside the services' tables: a narrow one, and the indexes that the lineages add.

CREATE TABLE events (
    id bigint PRIMARY KEY,
    campaign_id uuid NOT NULL,
    kind smallint NOT NULL,
    amount numeric(12, 2) NOT NULL,
    happened_at timestamptz NOT NULL
);

CREATE INDEX ix_chapters_campaign_id_sequence_number ON chapters (campaign_id, sequence_number);
CREATE INDEX ix_overlays_image_id ON overlays (image_id);
