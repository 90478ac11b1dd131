-- Changes no schema, so that programs of the one before go on with the file; whoever adds a migration that does more has
-- to raise this number.
PRAGMA user_version = 2;

-- The one before counts every job that had ended then as the oldest, and retention would remove all of them at once. When
-- a job ended stands in its body, in microseconds; a body that does not say it leaves its job as it is. What was written
-- since has its end, and a sum that vouches for it.
UPDATE records SET ended = json_extract(body, '$.finished_at')
WHERE kind = 'job' AND live = 0 AND ended = 0 AND sum IS NULL
    AND CASE WHEN json_valid(body)
        THEN json_type(body, '$.finished_at') = 'integer' AND json_extract(body, '$.finished_at') > 0
        ELSE 0
    END;
