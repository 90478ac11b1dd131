-- What the master remembers. One row is one record; the store never looks into a body.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    -- The version of the body's form.
    version INTEGER NOT NULL,
    -- The place among records of its kind; lists and loads follow it.
    ord INTEGER NOT NULL,
    -- 1 while the record is needed to resume after a restart.
    live INTEGER NOT NULL,
    state TEXT,
    name TEXT,
    grp TEXT,
    -- A JSON object, or NULL for none. The table below repeats it as an index.
    labels TEXT,
    -- JSON.
    body TEXT NOT NULL
);

CREATE UNIQUE INDEX records_by_key ON records (kind, key);

-- Loads want the live ones in order, prunes the others; a list merges the two halves.
CREATE INDEX records_by_order ON records (kind, live, ord);

CREATE INDEX records_by_state ON records (kind, state, ord) WHERE state IS NOT NULL;
CREATE INDEX records_by_name ON records (kind, name, ord) WHERE name IS NOT NULL;
CREATE INDEX records_by_group ON records (kind, grp, ord) WHERE grp IS NOT NULL;

CREATE TABLE labels (
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    ord INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (kind, label, value, ord, record)
) WITHOUT ROWID;

-- The labels of a new record are inserted by the program, which has them at hand: json_each costs several times as much.
CREATE TRIGGER labels_of_removed AFTER DELETE ON records WHEN old.labels IS NOT NULL
BEGIN
    DELETE FROM labels WHERE (kind, label, value, ord, record) IN (
        SELECT old.kind, each.key, each.value, old.ord, old.id FROM json_each(old.labels) AS each
    );
END;

CREATE TRIGGER labels_of_changed AFTER UPDATE OF labels, ord ON records
    WHEN old.labels IS NOT new.labels OR old.ord IS NOT new.ord
BEGIN
    DELETE FROM labels WHERE (kind, label, value, ord, record) IN (
        SELECT old.kind, each.key, each.value, old.ord, old.id FROM json_each(old.labels) AS each
    );
    INSERT OR IGNORE INTO labels
        SELECT new.kind, each.key, each.value, new.ord, new.id FROM json_each(new.labels) AS each;
END;

-- The one term of leadership. Its row is part of every commit, so that an older term can change nothing.
CREATE TABLE leader (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    -- NULL when nobody leads.
    holder TEXT,
    -- The last batch of this epoch.
    batch INTEGER NOT NULL
);

INSERT INTO leader VALUES (1, 0, NULL, 0);
