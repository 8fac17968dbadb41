-- A few writes of the Image Service's users, in one transaction; the search_path names the schema of its tables.
-- The records of clients that write at the same time (traffic-…) are left alone.

WITH new AS (
    INSERT INTO images (id, type, subtype, content, metadata, "references")
    SELECT gen_random_uuid(), 'map', 'battle', '{"n": 1.0}', '{"written": "during the demo"}', NULL
    FROM generate_series(1, 10)
    RETURNING id)
INSERT INTO overlays (id, image_id, type, elements) SELECT gen_random_uuid(), id, 'grid', '[]' FROM new;

UPDATE images SET metadata = '{"edited": true}', updated_at = clock_timestamp()
WHERE id IN (SELECT id FROM images WHERE subtype NOT LIKE 'traffic-%' ORDER BY id LIMIT 100);

DELETE FROM overlays WHERE id IN (SELECT id FROM overlays WHERE type NOT LIKE 'traffic-%' ORDER BY id DESC LIMIT 10);
