-- Which workflows those of default branches follow (`on: workflow_run`), and what of them: its activity type. An empty name
-- stands for all workflows.
CREATE TABLE followers (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    activity   TEXT NOT NULL,
    PRIMARY KEY (repository, name, activity)
) STRICT, WITHOUT ROWID;
