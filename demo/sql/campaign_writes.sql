-- A few writes of the Campaign Service's users, in one transaction; the search_path names the schema of its tables.
-- The records of clients that write at the same time (traffic-…) are left alone.

WITH new AS (
    INSERT INTO campaigns (id, name, theme_data, creator_id, owner_id)
    SELECT gen_random_uuid(), 'Written during the demo', '{"n": 1.0}', gen_random_uuid(), gen_random_uuid()
    FROM generate_series(1, 10)
    RETURNING id)
INSERT INTO chapters (id, campaign_id, title, sequence_number) SELECT gen_random_uuid(), id, 'New chapter', 1 FROM new;

UPDATE chapters SET content = '{"edited":  true}', updated_at = clock_timestamp()
WHERE id IN (SELECT id FROM chapters WHERE title NOT LIKE 'traffic-%' ORDER BY id LIMIT 100);

DELETE FROM chapters WHERE id IN (SELECT id FROM chapters WHERE title NOT LIKE 'traffic-%' ORDER BY id DESC LIMIT 10);
