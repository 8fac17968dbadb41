-- Tables of the Campaign Service as it has them before the consolidation. Run as campaign_owner in database `campaign`.

CREATE TABLE campaigns (
    id uuid PRIMARY KEY,
    name varchar(255) NOT NULL,
    description text,
    campaign_type varchar(50) NOT NULL DEFAULT 'traditional',
    state varchar(50) NOT NULL DEFAULT 'draft',
    theme_id uuid,
    theme_data json NOT NULL DEFAULT '{}',
    campaign_metadata json NOT NULL DEFAULT '{}',
    creator_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    is_deleted boolean NOT NULL DEFAULT false,
    deleted_at timestamptz
);

CREATE TABLE chapters (
    id uuid PRIMARY KEY,
    campaign_id uuid REFERENCES campaigns (id),
    title varchar(255) NOT NULL,
    description text,
    chapter_type varchar(50) NOT NULL DEFAULT 'story',
    state varchar(50) NOT NULL DEFAULT 'draft',
    sequence_number integer NOT NULL,
    content json NOT NULL DEFAULT '{}',
    chapter_metadata json NOT NULL DEFAULT '{}',
    prerequisites json NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    is_deleted boolean NOT NULL DEFAULT false,
    deleted_at timestamptz
);
