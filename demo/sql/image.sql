-- Tables of the Image Service as it has them before the consolidation. Run as image_owner in database `image`.

CREATE TABLE images (
    id uuid PRIMARY KEY,
    type varchar(50) NOT NULL,
    subtype varchar(50) NOT NULL,
    content jsonb NOT NULL,
    metadata jsonb NOT NULL,
    overlays jsonb DEFAULT '[]',
    "references" jsonb DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    is_deleted boolean NOT NULL DEFAULT false,
    deleted_at timestamptz
);

CREATE TABLE overlays (
    id uuid PRIMARY KEY,
    image_id uuid NOT NULL REFERENCES images (id),
    type varchar(50) NOT NULL,
    elements jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    is_deleted boolean NOT NULL DEFAULT false,
    deleted_at timestamptz
);
